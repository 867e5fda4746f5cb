"""Who runs what: one launch a trial, whoever dies, sleeps or comes at the same moment."""

import json
import logging
import os
import pickle
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from sweep.errors import StoreError
from sweep.store import Store
from sweep.store import leases as module
from sweep.store.claims import Claims
from sweep.store.files import Files
from sweep.store.leases import Launch, Leases

from ...conftest import make_outcome
from .helpers import IDS, wait_for

KEY = IDS[0]
ELSEWHERE = Launch(id="00000000", host="far", pid=1, machine="another machine", began="1")


def forge(files: Files, launch: Launch, *keys: str, **more: object) -> None:
    """What a launch leaves in the store: its heartbeat and what it has taken."""
    files.put(f"leases/{launch.id}.json", json.dumps(asdict(launch) | more).encode())
    for key in keys:
        files.put(f"leases/{key}.{launch.id}.claim", b"")


def grow_old(files: Files, seconds: float) -> None:
    """Set the times of all files of leases back, on a local disk."""
    for path in (files.local / "leases").iterdir():
        then = path.stat().st_mtime - seconds
        os.utime(path, (then, then))


class TestEveryBackend:
    """What holds on a local disk and on an object store alike."""

    def test_a_trial_that_is_taken_is_taken_until_it_is_given_back(self, store):
        one, other = Leases(store.files), Leases(store.files)
        with one.held(), other.held():
            assert one.claim(KEY) is None
            assert one.claim(KEY) is None  # it is ours already
            assert other.claim(KEY) == one.launch
            assert other.claim(IDS[1]) is None
            assert one.running() == other.running() == {KEY: one.launch, IDS[1]: other.launch}
            assert {launch.id for launch in Leases(store.files).living()} == {one.launch.id, other.launch.id}
            one.release(KEY)
            assert other.claim(KEY) is None
            assert one.claim(KEY) == other.launch
        assert Leases(store.files).running() == {}

    def test_nothing_is_left_at_the_end(self, store):
        def fail() -> None:
            with Leases(store.files).held() as leases:
                leases.claim(KEY)
                raise KeyError

        with pytest.raises(KeyError):
            fail()
        assert store.files.names("leases") == []
        assert store.local is None or not store.local.exists()

    @pytest.mark.slow
    def test_of_many_at_once_exactly_one_has_it(self, store):
        launches = [Leases(store.files, Launch()) for _ in range(4)]
        for leases in launches:
            leases._beat()
        start = threading.Barrier(len(launches))

        def take(leases: Leases) -> list[bool]:
            took = []
            for number in range(4 if store.local else 2):
                start.wait()
                took.append(leases.claim(f"{number:016x}") is None)
            return took

        with ThreadPoolExecutor(len(launches)) as pool:
            taken = list(pool.map(take, launches))
        assert [sum(each) for each in zip(*taken, strict=True)] == [1] * len(taken[0])

    @pytest.mark.slow
    def test_another_machines_launch_lives_as_long_as_its_heart_beats(self, store, monkeypatch):
        forge(store.files, ELSEWHERE, KEY)
        with Leases(store.files).held() as leases:
            assert leases.claim(KEY) == ELSEWHERE
            monkeypatch.setattr(module, "STALE_SECONDS", 2.0)
            assert leases.claim(KEY) == ELSEWHERE
            time.sleep(3.1)  # times on S3 are whole seconds
            forge(store.files, replace(ELSEWHERE, id="11111111"), IDS[1])
            leases._beat()
            assert leases.claim(KEY) is None
            assert leases.claim(IDS[1]) is not None

    def test_a_claim_without_a_heartbeat_is_void_and_is_cleared_away(self, store):
        store.files.put(f"leases/{KEY}.00000000.claim", b"")
        with Leases(store.files).held() as leases:
            assert store.files.names("leases") == [f"{leases.launch.id}.json"]
            store.files.put(f"leases/{KEY}.00000000.claim", b"")
            assert leases.claim(KEY) is None


@pytest.mark.parametrize(("age", "lives"), [(50.0, True), (70.0, False)])
def test_a_heartbeat_of_another_machine_is_stale_after_a_minute_by_the_storages_clock(local, monkeypatch, age, lives):
    forge(local.files, ELSEWHERE, KEY)
    grow_old(local.files, age)
    monkeypatch.setattr(module.time, "time", lambda: 0.0)  # our own clock says anything
    leases = Leases(local.files)
    leases._beat()
    assert leases.claim(KEY) == (ELSEWHERE if lives else None)
    leases._clear()
    assert (f"{ELSEWHERE.id}.json" in local.files.names("leases")) == lives


def test_a_process_of_this_machine_that_lives_keeps_what_it_has_however_old_its_heartbeat(local):
    """Stopped with Ctrl-Z, say: it will go on."""
    sleeper = subprocess.Popen(["sleep", "60"])
    launch = Launch(pid=sleeper.pid, began=module._began(sleeper.pid))
    forge(local.files, launch, KEY)
    sleeper.send_signal(signal.SIGSTOP)
    grow_old(local.files, 3600.0)
    with Leases(local.files).held() as leases:
        assert leases.claim(KEY) == launch
        sleeper.kill()
        wait_for(lambda: launch.has_died)  # and nobody has waited for it: it is a zombie
        assert Path(f"/proc/{sleeper.pid}").exists()
        assert leases.claim(KEY) is None
    sleeper.wait()


def test_a_pid_that_is_somebody_elses_by_now_is_dead(local):
    forge(local.files, Launch(pid=os.getpid(), began="1"), KEY)
    with Leases(local.files).held() as leases:
        assert leases.claim(KEY) is None


def test_what_a_killed_launch_had_is_free_at_once(local, forks):
    code = f"""
with Leases(Files(folder)).held() as leases:
    leases.claim({KEY!r})
    time.sleep(60)
"""
    other = forks.start(code, folder=str(local.local))
    wait_for(lambda: KEY in Leases(local.files).running())
    with Leases(local.files).held() as leases:
        taken = leases.claim(KEY)
        assert taken is not None and taken.pid == other.pid
        assert str(taken) == f"process {other.pid} on {taken.host}"
        other.kill()
        assert leases.claim(KEY) is None


@pytest.mark.parametrize("heartbeat", [b"", b"{}", b"[]", b"\xff", b'{"id": "22222222", "pid": "x"}'])
def test_a_heartbeat_that_says_nothing_is_none(local, heartbeat):
    local.files.put("leases/22222222.json", heartbeat)
    local.files.put(f"leases/{KEY}.22222222.claim", b"")
    with Leases(local.files).held() as leases:
        assert leases.claim(KEY) is None


def test_a_heartbeat_of_a_later_version_is_understood(local):
    forge(local.files, ELSEWHERE, KEY, region="us-east-1")
    with Leases(local.files).held() as leases:
        assert leases.claim(KEY) == ELSEWHERE


def test_a_heartbeat_says_why_trials_wait_and_is_of_the_same_launch(local, monkeypatch):
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.05)
    with Leases(local.files).held(lambda: "2 trials wait: no machine") as leases:
        others = Leases(local.files)
        wait_for(lambda: [launch.note for launch in others.living()] == ["2 trials wait: no machine"])
        assert others.living() == [leases.launch]


def test_files_of_leases_that_are_none_are_left_alone(local):
    local.files.put("leases/README", b"")
    with Leases(local.files).held() as leases:
        leases.claim(KEY)
    assert local.files.names("leases") == ["README"]


def test_a_folder_that_was_there_stays(tmp_path):
    with Leases(Files(tmp_path)).held():
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_heart_beats_and_survives_a_store_that_is_away_for_a_moment(local, monkeypatch, caplog):
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.05)
    put, failures = Files.put, [StoreError("store: cannot write")]

    def put_or_fail(self, name, data, **how):
        if name.endswith(".json") and beats and failures:
            raise failures.pop()
        put(self, name, data, **how)

    beats: list[float] = []
    monkeypatch.setattr(Files, "put", put_or_fail)
    with caplog.at_level(logging.WARNING), Leases(local.files).held() as leases:
        heartbeat = local.local / "leases" / f"{leases.launch.id}.json"
        beats.append(heartbeat.stat().st_mtime_ns)
        wait_for(lambda: not failures)
        last = heartbeat.stat().st_mtime_ns
        wait_for(lambda: heartbeat.stat().st_mtime_ns > last)
    assert caplog.messages == ["store: cannot write; other launches will consider this one dead in 60 s"]


def test_whose_claim_is_cleared_away_while_it_looks_claims_again(local, monkeypatch):
    """By another launch that took this one for dead: not to see any other claim says nothing then."""
    leases = Leases(local.files)
    leases._beat()
    looked = Leases._entries
    monkeypatch.setattr(
        Leases, "_entries", lambda self: (monkeypatch.undo(), local.files.delete(f"leases/{mine}"), looked(self))[-1]
    )
    mine = f"{KEY}.{leases.launch.id}.claim"
    assert leases.claim(KEY) is None
    assert mine in local.files.names("leases")


HAMMER = """
with Leases(Files(folder)).held() as leases:
    result = []
    Path(folder, "ready." + leases.launch.id).touch()
    while len(list(Path(folder).glob("ready.*"))) < processes:
        time.sleep(0.001)
    for round in range(rounds):
        key = f"{round // 8:016x}"
        if leases.claim(key) is not None:
            time.sleep(random.uniform(0, 0.002))
            continue
        mark = Path(folder, "held." + key)
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL))  # fails if anybody else has it
        time.sleep(random.uniform(0, 0.002))
        mark.unlink()
        leases.release(key)
        result.append(key)
"""


def test_processes_that_hammer_at_the_same_trials_never_have_one_at_the_same_time(local, forks):
    local.local.mkdir()
    hammers = [forks.start(HAMMER, folder=str(local.local), processes=3, rounds=64) for _ in range(3)]
    taken = [hammer.result() for hammer in hammers]
    assert all(taken)
    assert not list(local.local.glob("held.*"))


class TestClaims:
    """A launch's dealings with one trial."""

    @pytest.fixture
    def opened(self, local):
        local.write(make_outcome(KEY, "failed"))
        with Leases(local.files).held() as leases:
            yield local, leases, Claims(local, leases, local.outcomes())

    def test_what_has_not_changed_since_it_was_planned_is_ours_to_run(self, opened):
        _, leases, claims = opened
        assert claims.take(KEY) and claims.take(IDS[1])
        assert leases.running() == {KEY: leases.launch, IDS[1]: leases.launch}

    @pytest.mark.parametrize("status", ["completed", "failed"])
    def test_what_has_been_ended_elsewhere_since_is_left_alone_and_given_back(self, opened, status):
        store, leases, claims = opened
        for name in (KEY, IDS[1]):
            Store(store.local).write(make_outcome(name, status))
            assert not claims.take(name)
        assert leases.running() == {}

    def test_what_somebody_else_has_is_left_alone(self, opened):
        store, leases, claims = opened
        forge(store.files, ELSEWHERE, KEY)
        assert not claims.take(KEY)
        assert leases.running() == {KEY: ELSEWHERE}

    def test_what_is_written_down_is_given_back(self, opened):
        store, leases, claims = opened
        claims.take(KEY)
        claims.save(KEY, b"half")
        assert claims.load(KEY) == b"half"
        record = claims.write(make_outcome(KEY))
        assert store.outcomes() == {KEY: ("completed", record.outcome)}
        assert leases.running() == {}
        assert claims.load(KEY) is None

    def test_pickled_it_claims_for_the_same_launch_from_another_process(self, opened, forks, tmp_path):
        store, leases, claims = opened
        (tmp_path / "claims").write_bytes(pickle.dumps(claims))
        code = """
import pickle
claims = pickle.loads(Path(path).read_bytes())
result = claims.take("b" * 16), claims.take("a" * 16)
"""
        assert forks.start(code, path=str(tmp_path / "claims")).result() == (True, True)
        assert leases.running() == {KEY: leases.launch, IDS[1]: leases.launch}
        assert Leases(store.files).claim(KEY) == leases.launch
        assert claims.take(IDS[1])  # it is ours, whichever process took it


def test_a_launch_that_cannot_write_its_first_heartbeat_leaves_nothing(tmp_path, monkeypatch):
    files = Files(tmp_path / "results")
    monkeypatch.setattr(Files, "put", lambda self, name, data, **how: (_ for _ in ()).throw(StoreError("full")))
    with pytest.raises(StoreError, match="full"), Leases(files).held():
        raise AssertionError("it does not begin")
    assert not Path(files.root).exists()
