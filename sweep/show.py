"""What the commands print of plans, records and verdicts, as tables and as plain values for JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pruning.masks import kept_count
from sweep.config import SweepConfig
from sweep.errors import InputError
from sweep.records import COMPLETED, MaskRecord, TrialRecord
from sweep.report import ReportFiles, terminal
from sweep.report.facts import BOTH_HEADING, facts, some_rounds
from sweep.report.terminal import render
from sweep.reproduce import Reproduction, Verdict, VerdictFiles, flat, tables, tally
from sweep.run import Plan, Summary, prunable_weights
from sweep.store import Store
from sweep.text import percent

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
        "store": sweep.store,
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
        table.add_row(row["trial_id"], row["architecture"], row["method"], *numbers, state)
    out.print(table)
    out.print(
        f"\n{values['sweep']}: {len(values['trials'])} trials, {values['done']} completed, {values['missing']} to run"
    )


def summary(out: Console, sweep: SweepConfig, found: Summary) -> None:
    """How a launch ended, and what to do next."""
    counts = ", ".join(f"{number} {status}" for status, number in found.statuses.items())
    if not found.ran:
        out.print(f"{sweep.name}: nothing to run, all {sum(found.statuses.values())} trials are completed.")
    else:
        out.print(f"{sweep.name}: ran {found.ran - found.statuses.get('missing', 0)} trials. Now {counts}.")
    if found.exit_code == 1:
        out.print(f"See why: sweep status --store {sweep.store}. Launching again runs what is not completed.")
    if found.signal is not None:
        out.print("Stopped. Launching again runs what is missing.")
    browse = f"    MLflow: sweep ui --store {sweep.store}" if sweep.tracking.enabled and not sweep.tracking.uri else ""
    out.print(f"Report: sweep report {sweep.store} --sweep {sweep.name}{browse}")


def summary_json(sweep: SweepConfig, found: Summary) -> Row:
    """The same for scripts."""
    return {"sweep": sweep.name, "store": sweep.store, "ran": found.ran, **found.statuses}


def statuses(store: Store) -> dict[str, dict[str, int]]:
    """Trials by sweep and status."""
    counts: dict[str, dict[str, int]] = {}
    for row in store.trials().select(["sweep", "status"]).to_pylist():
        mine = counts.setdefault(row["sweep"], {})
        mine[row["status"]] = mine.get(row["status"], 0) + 1
    return counts


def status(out: Console, counts: Mapping[str, Mapping[str, int]], store: Store) -> None:
    """Counts by sweep, what failed and why, and files that cannot be read."""
    if not counts:
        out.print(f"{store.uri} holds no trials. Fill it: sweep launch configs/digits.yaml")
    for name, found in counts.items():
        out.print(f"{name}: " + ", ".join(f"{number} {state}" for state, number in found.items()))
    bad = [row for row in store.trials().to_pylist() if row["status"] != COMPLETED and row["sweep"] in counts]
    for row in bad[:20]:
        reason = f": {row['error_type']}: {row['error_message']}" if row["error_type"] else ""
        out.print(f"  {row['trial_id']} {_name(row)} {row['status']}{reason}", markup=False)
    if len(bad) > 20:
        out.print(f"  … and {len(bad) - 20} more")
    for path, reason in store.damaged.items():
        out.print(f"  cannot read {path}: {reason}", markup=False)


def find(store: Store, beginning: str) -> TrialRecord:
    """The one stored trial whose id begins so.

    Raises:
        InputError: none, or several.
    """
    matching = [name for name in store.statuses() if name.startswith(beginning)]
    if len(matching) != 1:
        many = f"is the beginning of {len(matching)} trials: {', '.join(sorted(matching)[:5])}; give more of it"
        none = f"is not in {store.uri}; 'sweep plan CONFIG' lists the ids of a sweep"
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
