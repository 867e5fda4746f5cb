"""What a launch lists of a store grows with its trials, not with their square; and nothing else changes by that."""

import logging
import math
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pyarrow.parquet as pq
import pytest

from sweep.errors import StoreError
from sweep.store import Store, folding
from sweep.store.claims import Claims
from sweep.store.files import Entry, Files
from sweep.store.leases import Leases

from ...conftest import make_outcome
from .helpers import FOLDERS, IDS, contents, file_of, files


def names(number: int, start: int = 0) -> list[str]:
    return [f"{place:016x}" for place in range(start, start + number)]


@contextmanager
def launch(uri: object) -> Iterator[Claims]:
    """A launch with its heartbeat and its plan."""
    store = Store(uri)
    with Leases(store.files).held() as leases:
        yield Claims(store, leases, store.outcomes())


def run(claims: Claims, trials: list[str]) -> list[str]:
    """Take and end the trials; those that were taken."""
    ran = []
    for name in trials:
        if claims.take(name):
            claims.write(make_outcome(name))
            ran.append(name)
    return ran


class Listings:
    """The length of every listing since it was made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.lengths: list[int] = []
        self.longest = 0
        for method in ("names", "entries"):
            monkeypatch.setattr(Files, method, self.counting(getattr(Files, method)))

    def counting(self, listed):
        def count(files, folder):
            found = listed(files, folder)
            self.lengths.append(len(found))
            self.longest = max(self.longest, len(found))
            return found

        return count

    def taken(self) -> tuple[int, int]:
        """How many there were since the last call, and the names in all of them."""
        lengths, self.lengths = self.lengths, []
        return len(lengths), sum(lengths)


def test_listings_grow_with_the_trials_and_not_with_their_square(tmp_path, monkeypatch):
    def listed(trials: int, many: int) -> list[tuple[int, int]]:
        """Listings of the first half of the trials and of the second, and the names in them."""
        monkeypatch.setattr(folding, "MANY", many)
        halves = names(trials // 2), names(trials // 2, start=trials)
        with launch(tmp_path / f"{trials}-{many}") as claims:
            return [listings.taken() for half in halves if run(claims, half) == half]

    monkeypatch.setattr(os, "fsync", lambda _: None)
    listings = Listings(monkeypatch)
    first, second = listed(128, many=8)
    assert listings.longest <= 8 + folding.FOLDS + 4
    assert second[0] < 1.2 * first[0] < 64 * 7  # requests
    assert second[1] < 1.5 * first[1]
    first, second = listed(64, many=10**6)  # without folding
    assert listings.longest == 63 and second[1] > 2 * first[1]


def test_the_work_of_merging_grows_hardly_faster_than_the_trials():
    folds: list[Entry] = []
    rewritten, added = 0, 2000
    for number in range(added):
        folds.append(Entry(str(number), 1, 0.0))
        if len(folds) >= folding.FOLDS:
            merged = folding._of_like_size(folds)
            size = sum(fold.size for fold in merged)
            rewritten += size
            folds = [fold for fold in folds if fold not in merged] + (
                [Entry(f"m{number}", size, 0.0)] if merged else []
            )
        assert len(folds) < folding.FOLDS + 1
    assert sum(fold.size for fold in folds) == added
    assert rewritten < added * math.log2(added)


class TestEveryBackend:
    """What holds on a local disk and on an object store alike."""

    def test_a_trial_that_another_launch_has_ended_and_folded_is_not_run_again(self, store, monkeypatch):
        monkeypatch.setattr(folding, "MANY", 2)
        with launch(store.uri) as first:
            assert run(first, IDS[:1]) == IDS[:1]
            with launch(store.uri) as other:
                assert run(other, IDS[1:]) == IDS[1:]
            assert any(name.startswith("fold-") for name in store.names("trials"))
            assert run(first, IDS) == []
        assert store.completed() == set(IDS)
        assert [contents(store)[folder].total() for folder in FOLDERS] == [6, 12, 6]
        assert store.files.names("leases") == []

    @pytest.mark.slow
    def test_of_two_launches_that_fold_each_trial_runs_once(self, store, monkeypatch):
        monkeypatch.setattr(folding, "MANY", 3)
        trials = names(24 if store.local else 8)
        ready = threading.Barrier(2)

        def both(order: list[str]) -> list[str]:
            with launch(store.uri) as claims:
                ready.wait()
                return run(claims, order)

        with ThreadPoolExecutor(2) as pool:
            ran = [name for each in pool.map(both, (trials, trials[::-1])) for name in each]
        assert sorted(ran) == trials
        assert store.completed() == set(trials)
        assert [contents(store)[folder].total() for folder in FOLDERS] == [len(ran), 2 * len(ran), len(ran)]
        assert len(store.loose("trials")) < len(trials)


def test_the_end_of_a_launch_that_has_folded_its_trials_still_folds_the_rest(local, monkeypatch):
    monkeypatch.setattr(folding, "MANY", 4)
    with launch(local.uri) as claims:
        run(claims, names(9))
    assert [len(local.loose(folder)) for folder in FOLDERS] == [4, 9, 9]
    assert folding.is_slow(local, ("masks",))
    before = contents(local)
    folding.fold(local)
    assert contents(local) == before
    assert not any(local.loose(folder) for folder in FOLDERS)


def test_what_belongs_to_a_replaced_outcome_goes_with_its_row(local):
    local.write(make_outcome(IDS[0], "failed"))
    earlier = files(local)
    local.write(make_outcome(IDS[0], "completed", seed=5))
    for name, data in earlier.items():  # as if its writer was killed before it deleted them
        local.files.put(name, data)
    assert len(local.loose("masks")) == 2
    with Leases(local.files).held() as leases:
        folding.fold_trials(local, leases)
        assert leases.running() == {}
    assert [len(local.names(folder)) for folder in FOLDERS] == [1, 1, 1]
    assert local.trial(IDS[0]).seed == 5 and contents(local)["masks"].total() == 1


def test_files_that_cannot_be_folded_are_not_tried_again_for_every_trial(local, monkeypatch):
    for name in names(3):  # of a later version
        local.write(make_outcome(name))
        path = file_of(local, "trials", name)
        rows = pq.ParquetFile(path).read()
        pq.write_table(rows.append_column("from_tomorrow", rows["seed"]), path)
    monkeypatch.setattr(folding, "MANY", 3)
    folded, fold_trials = [], folding.fold_trials
    monkeypatch.setattr(folding, "fold_trials", lambda *args: folded.append(1) or fold_trials(*args))
    with launch(local.uri) as claims:
        run(claims, names(8, start=10))
    assert len(folded) == 2  # at three files, all of which stay, and at six: not for each of eight trials
    assert local.completed() == {*names(3), *names(8, start=10)}


def test_a_trial_runs_even_if_the_store_cannot_be_folded(local, monkeypatch, caplog):
    def fail(*_):
        raise StoreError("store: cannot write: No space left on device")

    monkeypatch.setattr(folding, "MANY", 2)
    monkeypatch.setattr(folding._Folding, "_put", fail)
    with launch(local.uri) as claims, caplog.at_level(logging.WARNING):
        assert run(claims, IDS) == IDS
    assert "not folded, the store is as it was: store: cannot write: No space left" in caplog.text
    assert local.completed() == set(IDS) and len(local.loose("trials")) == len(IDS)


def test_a_launch_reads_a_fold_once_and_not_for_every_trial(local, monkeypatch):
    run(Claims.alone(local), names(20))
    folding.fold(local)
    opened, of = [], pq.ParquetFile.__init__
    monkeypatch.setattr(pq.ParquetFile, "__init__", lambda *args, **how: opened.append(args[1]) or of(*args, **how))
    with launch(local.uri) as claims:
        run(claims, names(20, start=50))
    assert len(opened) == 2  # for the plan, and then once for all trials
