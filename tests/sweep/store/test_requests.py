"""Requests to running launches: on every backend, and whatever else lies in the folder of leases."""

import pytest

from sweep.store.leases import Launch, Leases
from sweep.store.requests import Request, Requests

ELSEWHERE = Launch("other", id="00000000", host="far", pid=1, machine="another machine", began="1")


class TestEveryBackend:
    """What holds on a local disk and on an object store alike."""

    def test_a_launch_finds_its_request_until_it_ends_and_no_other_does(self, store):
        leases, requests = Leases(store.files, Launch("mine")), Requests(store.files)
        with leases.held(), Leases(store.files).held() as other:
            assert requests.of(leases.launch) is None
            requests.put(leases.launch, Request("stop", "somebody"))
            assert requests.of(leases.launch) == Request("stop", "somebody")
            assert requests.of(other.launch) is None
            assert requests.all() == {leases.launch.id: Request("stop", "somebody")}
            assert {launch.sweep for launch in other.living()} == {"mine", ""}
        assert requests.of(leases.launch) is None
        assert store.files.names("leases") == []

    def test_a_stop_does_not_weaken_a_cancel(self, store):
        requests = Requests(store.files)
        requests.put(ELSEWHERE, Request("stop", "one"))
        requests.put(ELSEWHERE, Request("cancel", "two"))
        requests.put(ELSEWHERE, Request("stop", "three"))
        assert requests.of(ELSEWHERE) == Request("cancel", "two")
        requests.withdraw(ELSEWHERE)
        requests.withdraw(ELSEWHERE)
        assert requests.of(ELSEWHERE) is None

    def test_the_next_launch_deletes_the_request_to_a_dead_one(self, store):
        Requests(store.files).put(ELSEWHERE, Request("cancel", "somebody"))
        with Leases(store.files).held():
            assert Requests(store.files).of(ELSEWHERE) is None


def test_a_request_says_who_asked() -> None:
    request = Request.from_here("stop")
    assert " on " in request.by and not request.interrupts


@pytest.mark.parametrize("contents", [b"", b"[]", b"{}", b"\xff", b'{"action": "dance", "by": "me"}'])
def test_a_file_that_asks_for_nothing_is_no_request(local, contents):
    local.files.put(f"leases/{ELSEWHERE.id}.request", contents)
    assert Requests(local.files).of(ELSEWHERE) is None


def test_a_heartbeat_of_an_earlier_version_names_no_sweep():
    before = '{"id": "00000000", "host": "far", "pid": 1, "machine": "another machine", "began": "1"}'
    assert Launch.from_json(before).sweep == ""
    assert Launch.from_json(ELSEWHERE.to_json()) == ELSEWHERE
