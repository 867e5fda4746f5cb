"""Leases in a folder that several machines mount by NFS, whose clients may show old listings, and whose clocks differ.

No NFS is here. A Mount is the part of it that leases depend on, made worse: a client shows a listing of earlier until
the listing is ``lag`` seconds old or the client itself has changed the folder. (Linux asks the server anew after a
change of its own, and else after 30 to 60 seconds.) Files are complete or absent, and their times are the server's.
"""

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sweep.store import leases as module
from sweep.store.files import Entry, Files
from sweep.store.leases import Launch, Leases


class Mount(Files):
    """A folder as one client shows it."""

    def __init__(self, folder: Path, lag: float):
        super().__init__(folder)
        self.lag = lag
        self._listings: dict[str, tuple[float, list[Entry]]] = {}

    def entries(self, folder: str) -> list[Entry]:
        listed, entries = self._listings.get(folder, (0.0, []))
        if time.monotonic() - listed > self.lag:
            listed, entries = time.monotonic(), super().entries(folder)
            self._listings[folder] = listed, entries
        return entries

    def put(self, name: str, data: Any, *, synced: bool = True) -> None:
        super().put(name, data, synced=synced)
        self._listings.clear()

    def delete(self, *names: str) -> None:
        super().delete(*names)
        self._listings.clear()


@dataclass
class Machine:
    """A launch on a machine of its own."""

    name: str
    folder: Path
    lag: float = 60.0
    leases: Leases = field(init=False)

    def __post_init__(self) -> None:
        self.leases = Leases(Mount(self.folder, self.lag), Launch(host=self.name, machine=self.name))


@pytest.mark.parametrize(("lag", "count"), [(0.02, 5), (60.0, 2)], ids=["soon renewed", "never renewed"])
def test_no_trial_is_taken_by_two_machines_that_see_old_listings(lag: float, count: int, tmp_path: Path) -> None:
    machines = [Machine(f"node{number}", tmp_path, lag) for number in range(3)]
    keys = [f"{number:016x}" for number in range(count)]
    together = threading.Barrier(len(machines))
    taken: list[str] = []

    def take_all(machine: Machine) -> None:
        with machine.leases.held():
            for key in keys:
                together.wait(30)
                if machine.leases.claim(key) is None:
                    taken.append(key)
            together.wait(30)  # nobody gives back before all are done

    threads = [threading.Thread(target=take_all, args=(machine,)) for machine in machines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert max(Counter(taken).values(), default=1) == 1
    assert not any(thread.is_alive() for thread in threads)


def test_a_trial_that_was_given_back_is_taken_once_the_listing_is_read_anew(tmp_path: Path) -> None:
    one, other = Machine("node0", tmp_path, lag=0.5), Machine("node1", tmp_path, lag=0.5)
    key = "0" * 16
    with one.leases.held(), other.leases.held():
        assert one.leases.claim(key) is None
        assert other.leases.claim(key) == one.leases.launch
        one.leases.release(key)
        assert other.leases.claim(key) is None


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_machine_whose_clock_is_wrong_takes_no_living_launch_for_dead(
    hours: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right, wrong = Machine("node0", tmp_path), Machine("node1", tmp_path)
    key, now = "0" * 16, time.time
    with right.leases.held():
        assert right.leases.claim(key) is None
        monkeypatch.setattr(module.time, "time", lambda: now() + 3600 * hours)
        with wrong.leases.held():
            assert wrong.leases.claim(key) == right.leases.launch
            assert wrong.leases.running() == {key: right.leases.launch}
