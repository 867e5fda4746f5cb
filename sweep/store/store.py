"""Store: outcomes of trials, sweeps and checkpoints, read and written. See :mod:`sweep.store` for what it promises."""

import uuid
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from sweep.records import (
    COMPLETED,
    DIVERGED,
    OUTCOME,
    EpochRecord,
    MaskRecord,
    Outcome,
    SweepRecord,
    TrialRecord,
    table,
    trial_record,
)
from sweep.store.files import Files
from sweep.store.layout import SWEEP_NAME, Key, Loose, check_id, outcome_file
from sweep.store.parquet import columns_of, encode
from sweep.store.reading import RANK, Reader, joined, that_count


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
        files: where they are.
        reader: their rows, file by file.
        uri: an absolute path or a URI, as given; may hold a secret. ``name`` is for people.
        local: the folder, or None for a store that is not on a local disk.
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
        """As given, made absolute."""
        return self.files.uri

    @property
    def name(self) -> str:
        """The same without secrets."""
        return self.files.name

    @property
    def local(self) -> Path | None:
        """The folder, if it is one."""
        return self.files.local

    @property
    def damaged(self) -> dict[str, str]:
        """Files that could not be read so far, with the reason."""
        return self.reader.damaged

    def check_writable(self) -> None:
        """Make sure that records can be kept. See :meth:`Files.check_writable`."""
        self.files.check_writable()

    # what there is

    def trials(self, among: Iterable[str] | None = None, columns: list[str] | None = None) -> pa.Table:
        """One row a trial, of the given trials or of all: the outcome that counts."""
        wanted = None if columns is None else list(dict.fromkeys([*columns, *RANK]))
        rows = self.reader.every("trials", None if among is None else set(among), wanted)
        counting = that_count(rows)
        if len(counting) < len(rows):
            rows = rows.take(counting)
        return rows if columns is None else rows.select(columns)

    def epochs(self, trial_ids: Iterable[str] | None = None) -> pa.Table:
        """Epochs of the given trials, or of all."""
        return self._of_outcomes("epochs", trial_ids, None)

    def masks(self, trial_ids: Iterable[str] | None = None, columns: list[str] | None = None) -> pa.Table:
        """Masked tensors of the given trials, or of all."""
        return self._of_outcomes("masks", trial_ids, columns)

    def trial(self, trial_id: str) -> TrialRecord | None:
        """One trial's record."""
        rows = self.trials([trial_id]).to_pylist()
        return trial_record(rows[0]) if rows else None

    def statuses(self, among: Iterable[str] | None = None) -> dict[str, str]:
        """Status by trial id, of the given trials or of all that have a row."""
        rows = self.trials(among, ["trial_id", "status"])
        return dict(zip(rows["trial_id"].to_pylist(), rows["status"].to_pylist(), strict=True))

    def completed(self, among: Iterable[str] | None = None) -> set[str]:
        """Trials that need not run again."""
        return {name for name, status in self.statuses(among).items() if status == COMPLETED}

    def outcomes(self, among: Iterable[str] | None = None) -> dict[str, OutcomeKey]:
        """The key of each trial's outcome that counts, by trial id. It changes whenever another outcome counts."""
        rows = self.trials(among, ["trial_id", "status", OUTCOME]).to_pylist()
        return {row["trial_id"]: OutcomeKey(row["status"], row[OUTCOME]) for row in rows}

    def counting(self, among: set[str] | None = None) -> set[Key]:
        """The same as keys of files."""
        rows = self.trials(among, ["trial_id", OUTCOME])
        return set(zip(rows["trial_id"].to_pylist(), rows[OUTCOME].to_pylist(), strict=True))

    def sweeps(self) -> list[SweepRecord]:
        """What was last launched, by name."""
        rows = self.reader.every("sweeps").drop_columns([OUTCOME]).to_pylist()
        ids = ("trials", "earlier")
        return [SweepRecord(**row | {name: tuple(row[name]) for name in ids if row[name] is not None}) for row in rows]

    def checkpoints(self) -> set[str]:
        """Trials that can go on from where they were stopped."""
        return {name.removesuffix(".pt") for name in self.files.names("checkpoints") if name[0] != "."}

    # what is added

    def write(self, outcome: Outcome) -> TrialRecord:
        """Store all records of one trial, its row last, then delete earlier outcomes, and the checkpoint of what ended.

        An outcome that did not complete is not stored where a completed one is, and leaves no checkpoint.

        Returns:
            The trial's record, with the size of its mask file and the name of its outcome.

        Raises:
            StoreError: the store is full or gone. What was there before still is.
            ValueError: not the id of a trial.
        """
        trial, name = outcome.trial, outcome.trial.trial_id
        check_id(name)
        earlier = self.reader.every("trials", {name}, RANK)
        before = earlier.take(that_count(earlier)).to_pylist()
        if before and before[0]["status"] == COMPLETED != trial.status:
            self.drop_checkpoint(name)  # running it again begins from scratch
            return trial
        now, tag = datetime.now(UTC), uuid.uuid4().hex[:8]
        if before and before[0]["written"]:  # by a clock that may be ahead of ours
            now = max(now, before[0]["written"] + timedelta(microseconds=1))
        trial = replace(trial, outcome=tag, written=now)
        if outcome.masks:
            size = self._put(outcome_file("masks", (name, tag)), table(MaskRecord, outcome.masks))
            trial = replace(trial, mask_bytes=size)
        if outcome.epochs:
            self._put(outcome_file("epochs", (name, tag)), table(EpochRecord, outcome.epochs))
        self._put(outcome_file("trials", (name, tag)), table(TrialRecord, [trial]))
        self._forget(name, earlier[OUTCOME].to_pylist())
        if trial.status in (COMPLETED, DIVERGED):
            self.drop_checkpoint(name)
        return trial

    def write_sweep(self, record: SweepRecord) -> None:
        """Store what a sweep asks for, in the place of what it asked for before.

        Raises:
            StoreError: the store is full or gone.
        """
        if not SWEEP_NAME.fullmatch(record.name):
            raise ValueError(f"{record.name!r} cannot be a sweep's name")
        self._put(f"sweeps/{record.name}.parquet", table(SweepRecord, [record]))

    def save_checkpoint(self, trial_id: str, data: bytes) -> None:
        """Keep how far a trial is, in the place of how far it was.

        Raises:
            StoreError: the store is full or gone; the earlier one is still there.
        """
        self.files.put(_checkpoint(trial_id), data, synced=False)  # it says itself whether it is whole

    def load_checkpoint(self, trial_id: str) -> bytes | None:
        """What was saved last, if anything."""
        return self.files.read(_checkpoint(trial_id))

    def drop_checkpoint(self, trial_id: str) -> None:
        """Forget how far a trial is."""
        self.files.delete(_checkpoint(trial_id))

    def set_aside(self) -> list[str]:
        """Move the damaged files found so far out of the way. Returns their names, as they are now."""
        moved = []
        for path in list(self.damaged):
            name = path.removeprefix(f"{self.files.root}/")
            try:
                self.files.move(name, f"damaged/{name}")
            except OSError:  # gone by now, or not ours to move: it stays named
                continue
            del self.damaged[path]
            moved.append(f"damaged/{name}")
        return moved

    # how it lies there

    def names(self, folder: str) -> list[str]:
        """All Parquet files in a folder, but hidden ones."""
        return self.reader.names(folder)

    def loose(self, folder: str, among: set[str] | None = None) -> list[Loose]:
        """The files of single outcomes in a folder."""
        return self.reader.loose(folder, among)

    def _put(self, name: str, rows: pa.Table) -> int:
        data = encode(name.partition("/")[0], rows)
        self.files.put(name, data)
        return int(data.size)

    def _forget(self, trial_id: str, outcomes: Iterable[str | None]) -> None:
        """Delete the files of outcomes that have been replaced. Others may be somebody's who is still writing them."""
        keys = [(trial_id, outcome) for outcome in outcomes]
        for folder in ("trials", "epochs", "masks"):
            self.files.delete(*(outcome_file(folder, key) for key in keys))

    def _of_outcomes(self, folder: str, trial_ids: Iterable[str] | None, columns: list[str] | None) -> pa.Table:
        """Rows of epochs or masks that belong to the outcomes that count."""
        found: list[pa.Table] = []
        wanted = self.counting(None if trial_ids is None else set(trial_ids))
        while wanted:
            tables, missing = self.reader.belonging(folder, wanted, columns)
            found += tables
            # an outcome without any, or one that has been replaced since we asked which counts?
            wanted = self.counting({trial for trial, _ in missing}) - missing if missing else set()
        whole = columns_of(folder, columns)
        return joined(found, whole if columns else whole.remove(whole.get_field_index(OUTCOME)))


def _checkpoint(trial_id: str) -> str:
    check_id(trial_id)
    return f"checkpoints/{trial_id}.pt"
