"""`--address`: what is wrong with it is said in seconds, before anything else. In tests/faults/test_from_outside.py, a
cluster answers."""

import socket
import threading
from collections.abc import Iterator

import pytest

from sweep.engines import choose
from sweep.engines.on_ray import address
from sweep.errors import InputError

SUBMIT = "ray job submit --address http://HOST:8265 -- sweep launch CONFIG --address auto"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "name HOST:PORT"),
        ("head", "name HOST:PORT, such as HOST:6379, or 'auto'"),
        ("head:99999", "name HOST:PORT"),
        ("head:6379/x", "name HOST:PORT"),
        ("local", "leave --address out to use this machine"),
        ("ray://head:10001", f"ray:// is for interactive use; .*{SUBMIT}"),
        ("http://head:8265", f"this is the address of a dashboard; .*{SUBMIT}"),
    ],
)
def test_an_address_of_another_form_is_refused_without_a_network(given: str, message: str) -> None:
    with pytest.raises(InputError, match=f"^--address {given}: {message}"):
        choose(address=given)


def test_auto_is_what_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "http://head:8265")
    with pytest.raises(InputError, match="^RAY_ADDRESS=http://head:8265: this is the address of a dashboard"):
        choose(address="auto")


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that accepts every connection and says nothing."""
    accepted = []
    with socket.create_server(("0.0.0.0", 0)) as server:  # Ray looks for this machine by its own address

        def accept() -> None:
            while True:
                try:
                    accepted.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
    for connection in accepted:
        connection.close()


@pytest.mark.slow
def test_what_is_no_cluster_is_refused_in_seconds(silent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "ANSWER_SECONDS", 2)
    with pytest.raises(InputError, match=r"127\.0\.0\.1:1: no Ray cluster answers there \(.*Connection refused"):
        choose(address="127.0.0.1:1")
    with pytest.raises(InputError, match="does not answer as the head of a Ray cluster does .nothing within 2 s"):
        choose(address=f"127.0.0.1:{silent}")


ANSWER = {"at": "10.0.0.1:6379", "is_node": True, "ours": {"ray": "2.60.0", "python": "3.11.7"}}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            {"theirs": {"ray": "2.59.0", "python": "3.12.1"}},
            "10.0.0.1:6379 runs Ray 2.59.0 on Python 3.12.1, and this process Ray 2.60.0 on Python 3.11.7; install",
        ),
        ({"theirs": ANSWER["ours"], "is_node": False}, f"no node of the cluster at 10.0.0.1:6379; .*{SUBMIT}"),
    ],
)
def test_a_cluster_that_this_machine_cannot_use_is_refused(answer, message, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "_ask", lambda given: ANSWER | answer)
    with pytest.raises(InputError, match=message):
        choose(address="10.0.0.1:6379")
