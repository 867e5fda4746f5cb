"""Merging stores: one table of many clusters, whatever the order and however often."""

import hashlib
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.errors import InputError
from sweep.records import EpochRecord, MaskRecord, Outcome, SweepRecord, TrialRecord, WeightRecord, table
from sweep.store import Store
from sweep.store.claims import Claims
from sweep.store.conflicts import conflicts_of
from sweep.store.folding import fold
from sweep.store.identity import identities
from sweep.store.leases import Leases
from sweep.store.merge_result import NEW, UNCHANGED, UPDATED, Merged
from sweep.store.merging import merge
from sweep.store.parquet import encode
from sweep.store.verify import verify
from tests.conftest import make_outcome

from .helpers import AWS, IDS, Forks, files, wait_for

ALL = ("trials", "epochs", "masks", "weights", "sweeps", "identity", "checkpoints", "leases")


def everything(store: Store) -> dict[str, str]:
    """Every file of a store with a hash of its bytes, those of its conflicts too."""
    found = files(store, *ALL) | {f"conflicts/{name}": data for name, data in files(store.conflicts, *ALL).items()}
    return {name: hashlib.sha256(data).hexdigest() for name, data in found.items()}


def filled(folder: Path, cluster: str, **by_id: Any) -> Store:
    """A store of trials that completed on a cluster, by the first letter of their ids: accuracies or statuses."""
    store = Store(folder)
    for letter, value in by_id.items():
        fields = {"status": value} if isinstance(value, str) else {"test_accuracy": value}
        store.write(make_outcome(letter * 16, **fields, cluster=cluster, host=f"{cluster}-node", device="A100"))
    store.write_sweep(SweepRecord("test", "{}", tuple(letter * 16 for letter in by_id), datetime.now(UTC)))
    return store


@pytest.fixture
def clusters(tmp_path: Path) -> tuple[Store, Store]:
    """Two stores, half overlapping: of four trials each, two are in both, one of them with another result."""
    one = filled(tmp_path / "one", "cluster-1", a=0.9, b=0.8, c=0.7, d=0.6)
    two = filled(tmp_path / "two", "cluster-2", c=0.7, d=0.65, e=0.5, f=0.4)
    return one, two


def accuracies(store: Store) -> dict[str, float]:
    rows = store.trials(columns=["trial_id", "test_accuracy"]).to_pylist()
    return {row["trial_id"][0]: row["test_accuracy"] for row in rows}


def test_both_orders_and_every_repetition_end_with_the_same_bytes(
    clusters: tuple[Store, Store], tmp_path: Path
) -> None:
    one, two = clusters
    for store in clusters:
        identities(store.files)
    before = [everything(store) for store in clusters]
    ends = []
    for number, order in enumerate(([one, two], [two, one])):
        at_once, in_turn = Store(tmp_path / f"at-once-{number}"), Store(tmp_path / f"in-turn-{number}")
        merge(order, at_once)
        for source in order:
            merge([source], in_turn)
        ends += [everything(at_once), everything(in_turn)]
        again = merge(order, at_once)
        assert again.changes == {UNCHANGED: 6}
        assert [decision.counting.trial_id for decision in again.conflicts] == ["d" * 16]
        assert everything(at_once) == ends[0]
    assert all(end == ends[0] for end in ends)
    assert [everything(store) for store in clusters] == before  # sources are only read
    merge([two], one)
    merge([Store(shutil.copytree(tmp_path / "at-once-0", tmp_path / "copy"))], two)
    assert everything(one) == everything(two) == ends[0]  # into each other, too


def test_the_same_result_is_one_row_and_another_result_is_kept(clusters: tuple[Store, Store], tmp_path: Path) -> None:
    target = Store(tmp_path / "both")
    result = merge(clusters, target)
    assert result.sources == {store.name: 4 for store in clusters}
    assert (result.changes, result.same, result.replaced, result.left_out) == ({NEW: 6}, 1, 0, [])
    assert accuracies(target) == {"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.65, "e": 0.5, "f": 0.4}  # written last
    [other] = conflicts_of(target)["d" * 16]
    assert (other.row["test_accuracy"], other.row["cluster"]) == (0.6, "cluster-1")
    assert other.place.epochs(["d" * 16]).to_pylist() == clusters[0].epochs(["d" * 16]).to_pylist()
    assert other.place.masks(["d" * 16]).to_pylist() == clusters[0].masks(["d" * 16]).to_pylist()
    rows = {row["trial_id"][0]: row["cluster"] for row in target.trials().to_pylist()}
    assert rows["c"] == "cluster-2"  # of one result, too, the outcome that was written last


@pytest.mark.parametrize("changed", ["epochs", "masks", "row"])
def test_a_result_is_the_row_the_epochs_and_the_masks(changed: str, tmp_path: Path) -> None:
    one, two = Store(tmp_path / "one"), Store(tmp_path / "two")
    first = make_outcome("a" * 16)
    other = {
        "epochs": replace(first, epochs=(first.epochs[0], replace(first.epochs[1], train_loss=0.25))),
        "masks": replace(first, trial=replace(first.trial, mask_hash="another")),
        "row": replace(first, trial=replace(first.trial, test_loss=1.0)),
    }[changed]
    elsewhere = replace(
        first, trial=replace(first.trial, host="elsewhere", seconds=9.0, threads=7, config='{"data": 1}')
    )
    one.write(first)
    two.write(other)
    assert len(merge([one, two], Store(tmp_path / "both")).conflicts) == 1
    two.write(elsewhere)
    assert not merge([one, two], Store(tmp_path / "alike")).conflicts


def test_a_completed_outcome_counts_and_of_others_the_one_written_last(tmp_path: Path) -> None:
    one = filled(tmp_path / "one", "cluster-1", a=0.9, b="failed", c="diverged")
    two = filled(tmp_path / "two", "cluster-2", a="failed", b="interrupted", c=0.5)
    for order in permutations([one, two]):
        target = Store(tmp_path / f"both-{order[0].local.name}")
        result = merge(order, target)
        assert target.statuses() == {"a" * 16: "completed", "b" * 16: "interrupted", "c" * 16: "completed"}
        assert (result.replaced, result.conflicts) == (3, [])
    one.write(make_outcome("b" * 16))
    assert merge([one], target).changes == {UPDATED: 1, UNCHANGED: 2}
    assert len(target.loose("trials")) == 3


def test_folded_stores_merge_like_others(clusters: tuple[Store, Store], tmp_path: Path) -> None:
    single, folded, mixed = (Store(tmp_path / name) for name in ("single", "folded", "mixed"))
    copies = [Store(shutil.copytree(store.local, f"{store.local}-folded")) for store in clusters]
    for copy in copies:
        fold(copy)
    merge(clusters, single)
    merge(copies, folded)
    merge([clusters[0], copies[1], copies[0]], mixed)
    assert everything(single) == everything(folded) == everything(mixed)
    for order in (copies, copies[::-1]):  # into a folded store
        target = Store(shutil.copytree(order[0].local, tmp_path / f"into-{order[0].local.name}"))
        merge([order[1]], target)
        assert accuracies(target) == accuracies(single)
        assert [each.row["test_accuracy"] for each in conflicts_of(target)["d" * 16]] == [0.6]
        before = everything(target)
        assert merge(order, target).changes == {UNCHANGED: 6}
        assert everything(target) == before
        fold(target)
        assert len(conflicts_of(target)) == 1


def test_conflicts_survive_compacting_and_are_settled_by_a_retry_that_agrees(
    clusters: tuple[Store, Store], tmp_path: Path
) -> None:
    target = Store(tmp_path / "both")
    merge(clusters, target)
    fold(target)
    target.write(make_outcome("d" * 16, test_accuracy=0.61))  # sweep retry --force
    assert {each.row["test_accuracy"] for each in conflicts_of(target)["d" * 16]} == {0.6}
    target.write(make_outcome("d" * 16, test_accuracy=0.6))  # the result that was kept: they agree now
    assert conflicts_of(target) == {}
    merge(clusters, target)
    assert {each.row["test_accuracy"] for each in conflicts_of(target)["d" * 16]} == {0.65}


def test_verify_checks_every_other_result(trials: list[Outcome], tmp_path: Path) -> None:
    one, two, target = (Store(tmp_path / name) for name in ("one", "two", "both"))
    for store, accuracy in ((one, 0.1), (two, 0.2)):
        for outcome in trials:
            store.write(replace(outcome, trial=replace(outcome.trial, test_accuracy=accuracy)))
    assert len(merge([one, two], target).conflicts) == len(trials)
    assert verify(target) == ([], {"files": 12, "trials": 2, "other results": 2})
    fold(target)
    assert verify(target)[0] == []
    file = next((target.local / "conflicts" / "masks").iterdir())
    file.write_bytes(file.read_bytes()[:-9])
    assert [problem.file for problem in verify(Store(target.uri))[0]] == [f"conflicts/masks/{file.name}"]


def test_a_trial_that_a_launch_runs_is_left_alone(clusters: tuple[Store, Store], tmp_path: Path) -> None:
    target = Store(tmp_path / "both")
    with Leases(target.files).held() as leases:
        claims = Claims(target, leases, {})
        assert claims.take("a" * 16)
        result = merge(clusters, target)
        assert [(each.trial_id, each.store) for each in result.left_out] == [("a" * 16, target.name)]
        assert "a" * 16 not in target.statuses() and len(target.statuses()) == 5
        claims.write(make_outcome("a" * 16, test_accuracy=0.91))
    result = merge(clusters, target)
    assert result.left_out == [] and len(result.conflicts) == 2
    assert accuracies(target)["a"] == 0.91


def test_two_merges_into_one_store_exclude_each_other(clusters: tuple[Store, Store], tmp_path: Path) -> None:
    target = Store(tmp_path / "both")
    with Leases(target.files).held() as leases:
        leases.claim("merge")
        with pytest.raises(InputError, match="is merging into"):
            merge(clusters, target)


def test_a_dry_run_says_the_same_and_writes_nothing(clusters: tuple[Store, Store], tmp_path: Path) -> None:
    target = Store(tmp_path / "both")
    dry = merge(clusters, target, is_dry=True)
    assert not (tmp_path / "both").exists()
    told: list[tuple[int, int]] = []
    real = merge(clusters, target, lambda *numbers: told.append(numbers))
    assert told == [(done, 6) for done in range(7)]

    def said(result: Merged) -> list[Any]:
        return [result.changes, result.same, result.sweeps, [d.counting.key for d in result.conflicts]]

    assert dry.is_dry and said(dry) == said(real)


def test_an_outcome_that_cannot_be_read_is_left_out_and_another_counts(
    clusters: tuple[Store, Store], tmp_path: Path
) -> None:
    one, two = clusters
    for letter in "df":  # d is in both
        [file] = (two.local / "masks").glob(f"{letter * 16}*")
        file.write_bytes(file.read_bytes()[:-9])
    target = Store(tmp_path / "both")
    result = merge([one, two], target)
    assert [each.trial_id[0] for each in result.left_out] == ["d", "f"]
    assert accuracies(target) == {"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.6, "e": 0.5}


def test_final_weights_are_kept_where_only_the_other_outcome_has_them(tmp_path: Path) -> None:
    weights = (WeightRecord("a" * 16, "0.weight", 0, (2,), "float32", False, b"12345678", "hash"),)
    with_weights = make_outcome("a" * 16, kept_weights_hash="hash")
    one, two, target = (Store(tmp_path / name) for name in ("one", "two", "both"))
    one.write(replace(with_weights, weights=weights))
    two.write(make_outcome("a" * 16))
    for order in ([one, two], [two, one]):
        result = merge(order, target)
        assert result.conflicts == [] and conflicts_of(target) == {}
        [kept] = target.conflicts.trials().to_pylist()
        assert kept["kept_weights_hash"] == "hash" and len(target.conflicts.weights("a" * 16)) == 1


def test_stores_of_earlier_versions_merge_too(tmp_path: Path) -> None:
    def older(name: str, accuracy: float) -> Store:
        store, outcome = Store(tmp_path / name), make_outcome("a" * 16, test_accuracy=accuracy, host=name)
        for folder, record, rows in (
            ("epochs", EpochRecord, outcome.epochs), ("masks", MaskRecord, outcome.masks),
            ("trials", TrialRecord, [outcome.trial]),
        ):  # fmt: skip
            store.files.put(f"{folder}/{'a' * 16}.parquet", encode(folder, table(record, rows)))
        return store

    stores = [older("one", 0.5), older("two", 0.5), older("three", 0.6)]
    ends = []
    for number, order in enumerate(permutations(stores)):
        target = Store(tmp_path / f"both-{number}")
        result = merge(order, target)
        assert (result.same, len(result.conflicts)) == (1, 1)
        ends.append(everything(target))
    assert all(end == ends[0] for end in ends)
    merge(stores[1:], stores[0])
    assert {name for name in everything(stores[0]) if "trials/" in name} == {
        name for name in ends[0] if "trials/" in name
    }


def test_sweeps_of_one_name_have_the_trials_of_all_and_the_last_launchs_config(
    clusters: tuple[Store, Store], tmp_path: Path
) -> None:
    _, two = clusters
    two.write_sweep(replace(two.sweeps()[0], config='{"last": 1}', earlier=("9" * 16,), launched=datetime.now(UTC)))
    target = Store(tmp_path / "both")
    assert merge(clusters, target).sweeps == ["test"]
    [record] = target.sweeps()
    assert (record.config, record.trials, record.earlier) == ('{"last": 1}', tuple(IDS), ("9" * 16,))


def test_ids_of_both_stores_are_the_merged_ones(clusters: tuple[Store, Store], tmp_path: Path) -> None:
    ids = {identity for store in clusters for identity in identities(store.files)}
    target = Store(tmp_path / "both")
    merge(clusters, target)
    assert set(identities(target.files)) == ids


def test_a_wrong_store_is_refused_before_anything_is_written(clusters: tuple[Store, Store], tmp_path: Path) -> None:
    one, target = clusters[0], Store(tmp_path / "both")
    for sources, into, message in (
        ([one], Store(f"{one.uri}/../one"), "is the destination and a source"),
        ([one, Store(tmp_path / "nowhere")], target, "does not exist"),
        ([Store(tmp_path)], target, "holds no trial and no sweep"),
    ):
        with pytest.raises(InputError, match=message):
            merge(sources, into)
    assert not (tmp_path / "both").exists()


POOL = [  # outcomes of two trials: id, outcome, second when it was written, status, accuracy, loss of the last epoch
    ("a" * 16, "00000001", 1, "completed", 0.5, 0.5),
    ("a" * 16, "00000002", 2, "completed", 0.5, 0.5),  # the same result
    ("a" * 16, "00000003", 3, "completed", 0.6, 0.5),
    ("a" * 16, "00000004", 3, "completed", 0.5, 0.4),  # other epochs, written at the same time
    ("a" * 16, "00000005", 9, "failed", None, 0.5),
    ("b" * 16, "00000006", 5, "failed", None, 0.5),
    ("b" * 16, "00000007", 6, "interrupted", None, 0.5),
    ("b" * 16, "00000008", 4, "completed", 0.7, 0.5),
]


def put(store: Store, number: int) -> None:
    """Write an outcome of the pool as :meth:`Store.write` does, with its own id and time."""
    name, tag, second, status, accuracy, loss = POOL[number]
    outcome = make_outcome(
        name,
        status,
        outcome=tag,
        written=datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC),
        test_accuracy=accuracy,
        host=tag,
    )
    epochs = (outcome.epochs[0], replace(outcome.epochs[1], train_loss=loss))
    for folder, record, rows in (
        ("epochs", EpochRecord, epochs), ("masks", MaskRecord, outcome.masks), ("trials", TrialRecord, [outcome.trial]),
    ):  # fmt: skip
        store.files.put(f"{folder}/{name}-{tag}.parquet", encode(folder, table(record, rows)), synced=False)


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(5, 7), st.booleans(), st.integers(1, 3)), min_size=3, max_size=3)
)
@settings(max_examples=4)
def test_merging_is_commutative_associative_and_idempotent_in_bytes(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[int, int, bool, int]]
) -> None:
    folder = tmp_path_factory.mktemp("merges")
    stores = []
    for number, (first, second, is_folded, launched) in enumerate(drawn):
        store = Store(folder / f"source-{number}")
        put(store, first)
        put(store, second)
        if is_folded:
            fold(store)
        ids = tuple(name * 16 for name in "ba"[: 1 + first % 2])
        time = datetime(2026, 1, launched, tzinfo=UTC)
        store.write_sweep(SweepRecord("test", f"{number}", ids, time, earlier=("c" * 16, f"{number}" * 16)))
        stores.append(store)
    a, b, c = stores

    def merged(name: str, *sources: list[Store]) -> Store:
        target = Store(folder / name)
        for at_once in sources:
            merge(at_once, target)
        return target

    end = everything(merged("abc", [a, b, c]))
    assert everything(merged("c-b-a", [c], [b], [a])) == end
    assert everything(merged("a-bc", [a], [merged("bc", [b, c])])) == end
    assert everything(merged("bc-a", [merged("cb", [c, b]), a])) == end
    assert everything(merged("abc", [c, a])) == end
    assert len(conflicts_of(Store(folder / "abc"))) <= 1


@pytest.mark.slow
def test_a_killed_merge_is_completed_by_the_next_one(
    clusters: tuple[Store, Store], tmp_path: Path, forks: Forks
) -> None:
    whole, target = Store(tmp_path / "whole"), Store(tmp_path / "target")
    merge(clusters, whole)
    writes = len(everything(whole))
    for number in range(1, writes, 7):  # killed once it has written so many files
        child = forks.start(
            """
            import os, signal
            from sweep.store import Store
            from sweep.store.files import Files
            from sweep.store.merging import merge
            put, left = Files.put, [number]
            def counted(self, name, data, **options):
                if "leases" not in name:
                    if not left[0]:
                        os.kill(os.getpid(), signal.SIGKILL)
                    left[0] -= 1
                put(self, name, data, **options)
            Files.put = counted
            merge([Store(uri) for uri in sources], Store(target))
            """,
            number=number, sources=[store.uri for store in clusters], target=target.uri,
        )  # fmt: skip
        wait_for(lambda child=child: not child.is_alive)
        assert set(everything(target)) <= set(everything(whole)) | set(files(target, "leases"))
        merge(clusters, target)
        assert everything(target) == everything(whole)
        shutil.rmtree(target.local)


def test_stores_on_disk_and_s3_merge_into_each_other(
    clusters: tuple[Store, Store], tmp_path: Path, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in AWS.items():
        monkeypatch.setenv(name, value)
    bucket, here = Store(f"s3://merges/both?{s3}"), Store(tmp_path / "both")
    bucket.files.fs.create_dir("merges")
    merge(clusters, bucket)
    assert len(conflicts_of(bucket)) == 1
    merge([bucket], here)
    expected = Store(tmp_path / "expected")
    merge(clusters, expected)
    assert everything(bucket) == everything(here) == everything(expected)
    assert merge([here], bucket).changes == {UNCHANGED: 6}
    with pytest.raises(InputError, match="holds no trial and no sweep"):
        merge([Store(f"s3://merges/mistyped?{s3}")], here)
