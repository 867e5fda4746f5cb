"""What follows when all trials have ended: leftover checkpoints go, the store is compacted and the report drawn."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from sweep.errors import InputError, StoreError
from sweep.launch.plan import Plan
from sweep.records import COMPLETED
from sweep.report import report_folder, write_report
from sweep.store import Store
from sweep.store.folding import fold, is_slow
from sweep.store.leases import Leases
from sweep.store.parquet import OF_OUTCOMES
from sweep.store.sweeps import COLUMNS, trials_by_sweep
from sweep.text import one_line, redacted


def drop_leftover_checkpoints(planned: Plan, store: Store) -> None:
    """Delete checkpoints of completed trials: a process that was killed right after it stored a trial's row left them.

    Those of completed trials that run again at this moment stay.
    """
    with suppress(StoreError):  # they take space and do no harm
        leftover = store.checkpoints() & store.completed(planned.trials)
        for name in leftover - Leases(store.files).running().keys():  # listed last: a claim precedes its checkpoint
            store.drop_checkpoint(name)


def fold_if_slow(store: Store, console: Console) -> None:
    """Fold a store of many small files, as ``sweep compact`` does. An error is printed and changes nothing else."""
    try:
        if is_slow(store, ("trials", *OF_OUTCOMES)):
            told = f"folding the many small files of {store.name} into a few, as sweep compact does"
            console.print(told, markup=False, soft_wrap=True)
            fold(store)
    except (Exception, KeyboardInterrupt) as error:  # whatever fails, the launch itself has succeeded
        reason = one_line(redacted(str(error))) or type(error).__name__
        console.print(f"not folded, the store is as it was: {reason}", markup=False, soft_wrap=True)


def draw_report(planned: Plan, store: Store, console: Console) -> Sequence[Path]:
    """Draw the report of the whole sweep, unless nothing ran and there is one. Returns its files.

    An error is printed; the returned list is then empty.
    """
    name, rows = planned.sweep.name, store.trials(columns=[*COLUMNS, "status"])
    trials = {*trials_by_sweep(store.sweeps(), rows).get(name, ()), *planned.trials}
    statuses = zip(rows["trial_id"].to_pylist(), rows["status"].to_pylist(), strict=True)
    if not any(trial in trials and status == COMPLETED for trial, status in statuses):
        return []
    try:
        folder = report_folder(store, name)
        if not planned.todo and (folder / "summary.md").exists():
            return []
        return write_report([store], folder, sweep=name, only=trials).all
    except (InputError, OSError) as error:
        console.print(f"no report was drawn: {one_line(str(error))}", markup=False)
        return []
