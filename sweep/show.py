"""What the commands print of plans, records and verdicts, as tables and as plain values for JSON."""

import json
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from typing import Any

import pyarrow.compute as pc
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from pruning.masks import kept_count
from sweep.config import SweepConfig
from sweep.errors import InputError
from sweep.failures import Group
from sweep.overview import Overview
from sweep.records import COMPLETED, MaskRecord, TrialRecord
from sweep.report import ReportFiles, terminal
from sweep.report.facts import BOTH_HEADING, facts, some_rounds
from sweep.report.terminal import render
from sweep.reproduce import Reproduction, Verdict, VerdictFiles, flat, tables, tally
from sweep.run import Plan, Summary, prunable_weights
from sweep.single import Comparison
from sweep.store import Store
from sweep.store.verify import Problem
from sweep.text import percent, redacted

Row = dict[str, Any]
_NOT_SHOWN = ("hash", "encoding", "effective_density", "start_effective_kept", "macs_dense")  # but in the JSON


def console(to_stderr: bool = False) -> Console:
    """Where commands print. Piped output is never wrapped."""
    found = Console(stderr=to_stderr, highlight=False)
    return found if found.is_terminal else Console(stderr=to_stderr, highlight=False, width=200)


def plan_json(planned: Plan) -> Row:
    """The plan: one entry a trial."""
    weights = prunable_weights(planned.sweep)
    trials = [
        {
            "trial_id": name,
            "architecture": trial.architecture.label,
            "method": trial.method_label,
            "sparsity": trial.sparsity,
            "seed": trial.seed,
            "prunable": weights[trial.architecture.label],
            "kept": kept_count(weights[trial.architecture.label], trial.sparsity),
            "missing": name in planned.todo,
        }
        for name, trial in planned.trials.items()
    ]
    sweep = planned.sweep
    return {
        "sweep": sweep.name,
        "store": redacted(sweep.store),
        "done": planned.done,
        "missing": len(planned.todo),
        "trials": trials,
    }


def plan(out: Console, planned: Plan) -> None:
    """The plan as a table."""
    values = plan_json(planned)
    table = Table("trial id", "architecture", "method", box=None, pad_edge=False)
    for column in ("sparsity", "seed", "prunable weights", "kept"):
        table.add_column(column, justify="right")
    table.add_column("")
    for row in values["trials"]:
        state = "to run" if row["missing"] else "completed"
        numbers = (percent(row["sparsity"]), str(row["seed"]), f"{row['prunable']:,}", f"{row['kept']:,}")
        table.add_row(row["trial_id"], Text(row["architecture"]), Text(row["method"]), *numbers, state)
    out.print(table)
    out.print(
        f"\n{values['sweep']}: {len(values['trials'])} trials, {values['done']} completed, {values['missing']} to run"
    )


def summary(out: Console, sweep: SweepConfig, found: Summary) -> None:
    """How a launch ended, and what to do next."""
    counts = ", ".join(f"{number} {status}" for status, number in found.statuses.items())
    store = shlex.quote(redacted(sweep.store))
    if not found.ran and found.exit_code == 0:
        out.print(f"{sweep.name}: nothing to run, all {sum(found.statuses.values())} trials are completed.")
    else:
        out.print(f"{sweep.name}: ran {found.ran} trials. Now {counts}.")
    if found.exit_code == 1:
        why = f"See why: sweep failures --store {store}   Launching again runs what is not completed."
        out.print(why, markup=False, soft_wrap=True)
    if found.signal is not None:
        out.print("Stopped. Launching again runs what is missing, and goes on from where trials were stopped.")
    browse = f"    MLflow: sweep ui --store {store}" if sweep.tracking.enabled and not sweep.tracking.uri else ""
    out.print(f"Report: sweep report {store} --sweep {sweep.name}{browse}", markup=False, soft_wrap=True)


def chosen(out: Console, records: Sequence[TrialRecord]) -> None:
    """What would be tried again."""
    for record in records:
        out.print(f"{record.trial_id} {_name(vars(record))}: {record.status}", markup=False)
    out.print(f"{len(records)} trials")


def retried(out: Console, found: Sequence[Summary], unchanged: Sequence[str]) -> None:
    """How a retry ended; which trials had completed, did not do so again and are as they were."""
    counts = Counter[str]()
    for each in found:
        counts.update(each.statuses)
    told = ", ".join(f"{number} {status}" for status, number in counts.items())
    out.print(f"ran {sum(each.ran for each in found)} trials. Now {told}." if found else "nothing to try again")
    if unchanged:
        out.print(f"These did not complete again, and keep the outcome that they had: {', '.join(unchanged)}")


def summary_json(sweep: SweepConfig, found: Summary) -> Row:
    """The same for scripts."""
    return {"sweep": sweep.name, "store": redacted(sweep.store), "ran": found.ran, **found.statuses}


_WHY = ["trial_id", "status", "error_type", "error_message", "architecture_label", "method_label", "sparsity", "seed"]


def status(out: Console, found: Sequence[Overview], store: Store) -> None:
    """Counts by sweep, what did not complete and why, and files that cannot be read."""
    if not found:
        out.print(f"{store.name} holds no trials. Fill it: sweep launch configs/digits.yaml", markup=False)
    for each in found:
        out.print(f"{each.name}: " + ", ".join(f"{number} {state}" for state, number in each.counts.items()))
        if each.launches:
            out.print(f"  run by {', '.join(each.launches)}", markup=False)
        if each.resumable:
            out.print(f"  {each.resumable} go on from a checkpoint when it is launched again")
    rows = store.trials({name for each in found for name in each.trials}, _WHY)
    bad = rows.filter(pc.not_equal(rows["status"], COMPLETED)).to_pylist()
    for row in bad[:20]:
        out.print(f"  {row['trial_id']} {_name(row)} {row['status']}{_why(row)}"[:600], markup=False)
    if len(bad) > 20:
        more = f"  … and {len(bad) - 20} more: sweep failures --store {shlex.quote(store.name)}"
        out.print(more, markup=False, soft_wrap=True)
    for path, reason in store.damaged.items():
        out.print(f"  cannot read {path}: {reason}", markup=False)


def status_json(found: Sequence[Overview]) -> dict[str, dict[str, int]]:
    """Counts by sweep."""
    return {each.name: each.counts for each in found}


def failures_json(groups: Sequence[Group]) -> list[Row]:
    """What failed, by kind."""
    return [
        {
            "kind": group.kind.name,
            "count": len(group.trials),
            "trials": [record.trial_id for record in group.trials],
            "example": {name: getattr(group.example, name) for name in _EXAMPLE},
            "mend": group.kind.mend,
        }
        for group in groups
    ]


_EXAMPLE = (
    "trial_id", "status", "error_type", "error_message", "traceback", "host", "device", "peak_memory_bytes",
    "device_memory_bytes", "attempts",
)  # fmt: skip


def failures(out: Console, groups: Sequence[Group], store: Store) -> None:
    """The same for people, each with the command that tries them again."""
    where = shlex.quote(store.name)  # commands are to be run as they are printed
    if not groups:
        out.print(f"{store.name}: nothing failed", markup=False)
    for group in groups:
        example = group.example
        out.print(f"{group.kind.name}: {len(group.trials)} trials", style="bold")
        said = f"{_name(vars(example))}{_why(vars(example))}"
        out.print(f"  for example {example.trial_id} {said}"[:600], markup=False)
        if example.host:
            memory = f", {_gib(example.peak_memory_bytes)} used" if example.peak_memory_bytes else ""
            whole = f" of {_gib(example.device_memory_bytes)}" if memory and example.device_memory_bytes else ""
            out.print(f"  on {example.host}, {example.device}{memory}{whole}", markup=False)
        mend = group.kind.mend.replace("show ID", f"show {example.trial_id} --store {where}")
        out.print(f"  mend: {mend}", markup=False, soft_wrap=True)
        out.print(f"  again: sweep retry --kind {group.kind.name} --store {where}", markup=False, soft_wrap=True)


def _why(row: Mapping[str, Any]) -> str:
    """The error of a trial that failed, on one line."""
    return f": {row['error_type']}: {' '.join((row['error_message'] or '').split())}" if row["error_type"] else ""


def _gib(size: int | None) -> str:
    return f"{(size or 0) / 2**30:.1f} GiB"


def problems(out: Console, found: Sequence[Problem], checked: Mapping[str, int]) -> None:
    """What is wrong in a store, and what was looked at."""
    for each in found:
        out.print(f"{each.file}: {each.what}", markup=False, soft_wrap=True)
        if each.mend:
            out.print(f"  mend: {each.mend}", markup=False, soft_wrap=True)
    what = ", ".join(f"{number:,} {name}" for name, number in checked.items())
    out.print(f"checked {what}: " + (f"{len(found)} problems" if found else "all is as it should be"))


@contextmanager
def counting(out: Console, what: str) -> Iterator[Callable[[int, int], None]]:
    """Progress of something long, on a terminal: tell what it yields how much is done, of how much."""
    if not out.is_terminal:
        yield lambda done, total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=out, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def find(store: Store, beginning: str) -> TrialRecord:
    """The one stored trial whose id begins so.

    Raises:
        InputError: none, or several.
    """
    matching = [
        name for name in store.trials(columns=["trial_id"])["trial_id"].to_pylist() if name.startswith(beginning)
    ]
    if len(matching) != 1:
        many = f"is the beginning of {len(matching)} trials: {', '.join(sorted(matching)[:5])}; give more of it"
        none = f"is not in {store.name}; 'sweep plan CONFIG' lists the ids of a sweep"
        raise InputError(f"trial {beginning!r} {many if matching else none}")
    record = store.trial(matching[0])
    assert record is not None  # its row was just read
    return record


def trial_json(store: Store, record: TrialRecord) -> Row:
    """All of one trial but the packed masks."""
    columns = [field.name for field in fields(MaskRecord) if field.name not in ("trial_id", "position", "packed")]
    masks, epochs = store.masks([record.trial_id], columns), store.epochs([record.trial_id])
    values = asdict(record) | {"config": json.loads(record.config)}
    return {**values, "layers": masks.to_pylist(), "by_epoch": epochs.drop_columns(["trial_id"]).to_pylist()}


def trial(out: Console, store: Store, record: TrialRecord) -> None:
    """One trial on a screen or two: its facts under headings, its rounds, its layers, its epochs."""
    values = trial_json(store, record)
    out.print(_name(values), style="bold")
    for title, rows in facts(record).items():
        columns = BOTH_HEADING if len(rows[0]) == len(BOTH_HEADING) else ("", "")
        table = Table(*columns, box=None, show_header=any(columns), pad_edge=False)
        for row in rows:
            table.add_row(*map(Text, row))
        out.print(Text(f"\n{title}", style="bold"), table)
    rounds = [asdict(one) for one in some_rounds(record.rounds)] if len(record.rounds) > 1 else []
    layers = values["layers"]
    if all(layer["start_kept"] == layer["kept"] for layer in layers):  # the mask never moved: once is enough
        layers = [layer | {"start_kept": None} for layer in layers]
    for title, found in (
        (f"rounds, {len(rounds)} of {len(record.rounds)}", rounds),
        ("layers, as tested", layers),
        ("epochs", values["by_epoch"]),
    ):
        if found:
            out.print(Text(f"\n{title}", style="bold"), terminal.columns(found, _told(found)))


def comparisons_json(found: Sequence[Comparison]) -> list[Row]:
    """Every field of a rerun beside the stored one."""
    return [{"field": c.field, "stored": c.stored, "again": c.again, "agrees": c.agrees} for c in found]


def comparisons(out: Console, found: Sequence[Comparison]) -> None:
    """What differs, each with both values, and how much agrees; the outcome's main fields in any case."""
    table = Table("", "stored", "again", "", box=None, pad_edge=False)
    for each in found:
        if not each.agrees or each.field in ("status", "mask_hash", "test_accuracy", "final_weights_hash"):
            verdict = Text("the same", "green") if each.agrees else Text("differs", "red")
            table.add_row(each.field, Text(_brief(each.stored)), Text(_brief(each.again)), verdict)
    out.print(table)
    agree = sum(each.agrees for each in found)
    out.print(f"{agree} of {len(found)} fields agree, of the trial, its epochs and its masks")


def _brief(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 24 else text[:21] + "…"


def _told(rows: Sequence[Row]) -> list[str]:
    """The columns of rows that say something to people."""
    return [name for name in rows[0] if name not in _NOT_SHOWN and any(row[name] is not None for row in rows)]


def report(out: Console, files: ReportFiles) -> None:
    """Where the report is, and its table."""
    for table in files.tables:
        out.print(render(table), "")
    for path in files.all:
        out.print(str(path), markup=False)


def verdicts_json(asked: Reproduction, found: Sequence[Verdict], files: VerdictFiles) -> Row:
    """Every verdict, and the files."""
    return {
        "sweep": asked.sweep.name,
        "in_order": all(verdict.in_order for verdict in found),
        "left_out": asked.left_out,
        "rows": flat(found, asked.sweep.training.epochs),
        "files": [str(path) for path in files.all],
    }


def verdicts(out: Console, asked: Reproduction, found: Sequence[Verdict], files: VerdictFiles) -> None:
    """The same as tables."""
    for table in tables(found, asked.sweep.training.epochs):
        out.print(render(table), "")
    if asked.left_out:
        out.print(f"left out: {asked.left_out} published rows outside the grid as it was set")
    for path in files.all:
        out.print(str(path), markup=False)
    out.print(f"{asked.sweep.name}: {tally([row for verdict in found for row in verdict.rows])}", style="bold")


def _name(values: Mapping[str, Any]) -> str:
    parts = (values["architecture_label"], values["method_label"], percent(values["sparsity"]), f"s{values['seed']}")
    return " ".join(parts)
