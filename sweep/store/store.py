"""Store: reads and writes outcomes of trials, sweeps and checkpoints. :mod:`sweep.store` lists its guarantees."""

import uuid
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from sweep.errors import InputError
from sweep.records import (
    COMPLETED,
    DIVERGED,
    OUTCOME,
    EpochRecord,
    MaskRecord,
    Outcome,
    SweepRecord,
    TrialRecord,
    WeightRecord,
    table,
    trial_record,
)
from sweep.store.files import Files
from sweep.store.layout import SWEEP_NAME, Key, Loose, check_id, outcome_file
from sweep.store.parquet import OF_OUTCOMES, columns_of, encode
from sweep.store.reader import RANK, Reader, indices_that_count, joined


class OutcomeKey(NamedTuple):
    """Tells the outcomes of one trial apart.

    Attributes:
        status: how the trial ended.
        name: 8 hex digits; None in stores of earlier versions, which keep one outcome per trial.
    """

    status: str
    name: str | None


class Store:
    """The records of any number of sweeps.

    Attributes:
        files: its files.
        reader: reads rows of the files.
        uri: an absolute path or a URI, as given; may hold a secret. Messages use ``name``.
        local: the folder; None for a store that is not on a local disk.
        damaged: files that could not be read so far, with the reason.

    Raises:
        InputError: not a folder, not a known kind of URI.
    """

    def __init__(self, uri: str | Path):
        self.files = Files(uri)
        self.reader = Reader(self.files)

    def __reduce__(self) -> tuple[type["Store"], tuple[str]]:
        return Store, (self.uri,)

    @property
    def uri(self) -> str:
        """The URI as given, or the absolute path; may hold a secret."""
        return self.files.uri

    @property
    def name(self) -> str:
        """The URI without secrets."""
        return self.files.name

    @property
    def local(self) -> Path | None:
        """The folder; None for a store that is not on a local disk."""
        return self.files.local

    @property
    def damaged(self) -> dict[str, str]:
        """Files that could not be read so far, with the reason."""
        return self.reader.damaged

    @cached_property
    def conflicts(self) -> "Store":
        """The store within this one that keeps other results of its trials: outcomes that do not count."""
        return Store(self.files.below("conflicts").uri)

    def check_writable(self) -> None:
        """Check that records can be written. See :meth:`Files.check_writable`."""
        self.files.check_writable()

    def check_exists(self) -> None:
        """Check that the folder exists, before a command reads from a mistyped one. Object stores have no folders.

        Raises:
            InputError: it does not.
        """
        if self.local is not None and not self.local.exists():
            raise InputError(f"store: {self.name} does not exist; name another with --store, or launch a sweep")

    # reading

    def trials(self, among: Iterable[str] | None = None, columns: list[str] | None = None) -> pa.Table:
        """One row per trial, of the given trials or of all: the outcome that counts."""
        wanted = None if columns is None else list(dict.fromkeys([*columns, *RANK]))
        rows = self.reader.all_rows("trials", None if among is None else set(among), wanted)
        counting = indices_that_count(rows)
        if len(counting) < len(rows):
            rows = rows.take(counting)
        return rows if columns is None else rows.select(columns)

    def epochs(self, trial_ids: Iterable[str] | None = None) -> pa.Table:
        """One row per epoch, of the given trials or of all."""
        return self._of_outcomes("epochs", trial_ids, None)

    def masks(self, trial_ids: Iterable[str] | None = None, columns: list[str] | None = None) -> pa.Table:
        """One row per masked tensor, of the given trials or of all."""
        return self._of_outcomes("masks", trial_ids, columns)

    def weights(self, trial_id: str) -> pa.Table:
        """One row per tensor of a trial's tested network, in its order; none unless its weights were kept."""
        return self._of_outcomes("weights", [trial_id], None).sort_by("position")

    def trial(self, trial_id: str) -> TrialRecord | None:
        """One trial's record; None if it has none."""
        rows = self.trials([trial_id]).to_pylist()
        return trial_record(rows[0]) if rows else None

    def statuses(self, among: Iterable[str] | None = None) -> dict[str, str]:
        """Status by trial id, of the given trials or of all that have a row."""
        rows = self.trials(among, ["trial_id", "status"])
        return dict(zip(rows["trial_id"].to_pylist(), rows["status"].to_pylist(), strict=True))

    def completed(self, among: Iterable[str] | None = None) -> set[str]:
        """The ids of completed trials, of the given trials or of all."""
        return {name for name, status in self.statuses(among).items() if status == COMPLETED}

    def outcomes(self, among: Iterable[str] | None = None) -> dict[str, OutcomeKey]:
        """The key of each trial's outcome that counts, by trial id. It changes whenever another outcome counts."""
        rows = self.trials(among, ["trial_id", "status", OUTCOME]).to_pylist()
        return {row["trial_id"]: OutcomeKey(row["status"], row[OUTCOME]) for row in rows}

    def counting(self, among: set[str] | None = None) -> set[Key]:
        """The keys of the outcomes that count, of the given trials or of all."""
        rows = self.trials(among, ["trial_id", OUTCOME])
        return set(zip(rows["trial_id"].to_pylist(), rows[OUTCOME].to_pylist(), strict=True))

    def sweeps(self) -> list[SweepRecord]:
        """The sweeps as they were last launched, in order of their names."""
        rows = self.reader.all_rows("sweeps").drop_columns([OUTCOME]).to_pylist()
        ids = ("trials", "earlier")
        return [SweepRecord(**row | {name: tuple(row[name]) for name in ids if row[name] is not None}) for row in rows]

    def checkpoints(self) -> set[str]:
        """The ids of trials that have a checkpoint."""
        return {name.removesuffix(".pt") for name in self.files.names("checkpoints") if name[0] != "."}

    # writing

    def write(self, outcome: Outcome) -> TrialRecord:
        """Store all records of one trial, its row last; then delete earlier outcomes, and the checkpoint if it ended.

        If the trial has a completed outcome, one that is not completed is not stored and its checkpoint is deleted.

        Returns:
            The trial's record, with the sizes of its files of masks and weights, its outcome's id and the time.

        Raises:
            StoreError: the store is full or unreachable. Earlier records are unchanged.
            ValueError: the record's ``trial_id`` is not a trial id.
        """
        trial, name = outcome.trial, outcome.trial.trial_id
        check_id(name)
        earlier = self.reader.all_rows("trials", {name}, RANK)
        before = earlier.take(indices_that_count(earlier)).to_pylist()
        if before and before[0]["status"] == COMPLETED != trial.status:
            self.drop_checkpoint(name)  # running it again begins from scratch
            return trial
        now, tag = datetime.now(UTC), uuid.uuid4().hex[:8]
        if before and before[0]["written"]:  # by a machine whose clock may be ahead of ours
            now = max(now, before[0]["written"] + timedelta(microseconds=1))
        trial = replace(trial, outcome=tag, written=now)
        if outcome.masks:
            size = self._put(outcome_file("masks", (name, tag)), table(MaskRecord, outcome.masks))
            trial = replace(trial, mask_bytes=size)
        if outcome.weights:
            size = self._put(outcome_file("weights", (name, tag)), table(WeightRecord, outcome.weights))
            trial = replace(trial, weights_bytes=size)
        if outcome.epochs:
            self._put(outcome_file("epochs", (name, tag)), table(EpochRecord, outcome.epochs))
        self._put(outcome_file("trials", (name, tag)), table(TrialRecord, [trial]))
        self.forget(name, earlier[OUTCOME].to_pylist())
        if trial.status in (COMPLETED, DIVERGED):
            self.drop_checkpoint(name)
        return trial

    def write_sweep(self, record: SweepRecord) -> None:
        """Store a sweep's record in place of its last one.

        Raises:
            StoreError: the store is full or unreachable.
            ValueError: the name cannot be a file's name.
        """
        if not SWEEP_NAME.fullmatch(record.name):
            raise ValueError(f"{record.name!r} cannot be a sweep's name")
        self._put(f"sweeps/{record.name}.parquet", table(SweepRecord, [record]))

    def save_checkpoint(self, trial_id: str, data: bytes) -> None:
        """Store a trial's checkpoint in place of its last one.

        Raises:
            StoreError: the store is full or unreachable; the last checkpoint is unchanged.
        """
        self.files.put(_checkpoint(trial_id), data, synced=False)  # its checksum shows whether it is complete

    def load_checkpoint(self, trial_id: str) -> bytes | None:
        """The trial's checkpoint; None if it has none."""
        return self.files.read(_checkpoint(trial_id))

    def drop_checkpoint(self, trial_id: str) -> None:
        """Delete the trial's checkpoint, if it has one."""
        self.files.delete(_checkpoint(trial_id))

    def set_aside(self) -> list[str]:
        """Move the files in :attr:`damaged` to the folder ``damaged/``. Returns their new names."""
        moved = []
        for path in list(self.damaged):
            name = path.removeprefix(f"{self.files.root}/")
            try:
                self.files.move(name, f"damaged/{name}")
            except OSError:  # it is gone, or we lack the permission: it stays in the list
                continue
            del self.damaged[path]
            moved.append(f"damaged/{name}")
        return moved

    # files

    def names(self, folder: str) -> list[str]:
        """The names of the Parquet files in a folder, without hidden ones."""
        return self.reader.names(folder)

    def loose(self, folder: str, among: set[str] | None = None) -> list[Loose]:
        """The files of one outcome in a folder, of all trials or of those ``among``."""
        return self.reader.loose(folder, among)

    def _put(self, name: str, rows: pa.Table) -> int:
        data = encode(name.partition("/")[0], rows)
        self.files.put(name, data)
        return int(data.size)

    def forget(self, trial_id: str, outcomes: Iterable[str | None]) -> None:
        """Delete the files of these outcomes only: another process may be writing other outcomes of the trial."""
        keys = [(trial_id, outcome) for outcome in outcomes]
        for folder in ("trials", *OF_OUTCOMES):
            self.files.delete(*(outcome_file(folder, key) for key in keys))

    def _of_outcomes(self, folder: str, trial_ids: Iterable[str] | None, columns: list[str] | None) -> pa.Table:
        """The rows of epochs, masks or weights that belong to the outcomes that count."""
        tables: list[pa.Table] = []
        wanted = self.counting(None if trial_ids is None else set(trial_ids))
        while wanted:
            read, missing = self.reader.outcome_rows(folder, wanted, columns)
            tables += read
            # an outcome without rows, or one that was replaced since we read which outcomes count?
            wanted = self.counting({trial for trial, _ in missing}) - missing if missing else set()
        schema = columns_of(folder, columns)
        return joined(tables, schema if columns else schema.remove(schema.get_field_index(OUTCOME)))


def _checkpoint(trial_id: str) -> str:
    check_id(trial_id)
    return f"checkpoints/{trial_id}.pt"
