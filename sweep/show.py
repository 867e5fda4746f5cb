"""What the commands print: views of plans, records and registries, as tables and as plain values for JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

import pruning
from pruning.masks import kept_count
from sweep.config import SweepConfig
from sweep.errors import InputError
from sweep.records import COMPLETED, TrialRecord
from sweep.report import ReportFiles
from sweep.report.terminal import render
from sweep.run import Plan, Summary, prunable_weights
from sweep.store import Store
from sweep.text import percent
from training import data, models

Row = dict[str, Any]


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
            "method": trial.method.label,
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
    columns = ["tensor", "shape", "total", "kept", "density", "effective_kept", "hash"]
    masks, epochs = store.masks([record.trial_id], columns), store.epochs([record.trial_id])
    values = asdict(record) | {"config": json.loads(record.config)}
    return {**values, "layers": masks.to_pylist(), "by_epoch": epochs.drop_columns(["trial_id"]).to_pylist()}


def trial(out: Console, store: Store, record: TrialRecord) -> None:
    """One trial on a screen or two."""
    values = trial_json(store, record)
    layers, epochs, rounds = values.pop("layers"), values.pop("by_epoch"), values.pop("rounds")
    out.print(_name(values), style="bold")
    facts = Table(box=None, show_header=False, pad_edge=False)
    for key, value in values.items():
        if value is not None:
            facts.add_row(key, json.dumps(value) if isinstance(value, dict) else str(value))
    out.print(facts, markup=False)
    if record.mask_bytes and record.mask_entropy_bytes:
        over = record.mask_bytes / record.mask_entropy_bytes
        out.print(f"mask file: {record.mask_bytes:,} bytes, {over:.2f} × the entropy bound")
    if len(rounds) > 1:
        out.print(f"rounds: {len(rounds)}, revived {sum(r['revived'] for r in rounds):,} weights in all")
    out.print(_table(layers, ["tensor", "shape", "total", "kept", "density", "effective_kept"]))
    if epochs:
        out.print(_table(epochs, list(epochs[0])))


def method_rows() -> list[Row]:
    """The registered methods."""
    found = [pruning.find(name) for name in pruning.names()]
    return [
        {"method": m.name, "what": m.summary, "options": m.options, "data": m.data, "paper": m.paper} for m in found
    ]


def methods(out: Console, rows: Sequence[Row]) -> None:
    """The methods as a table."""
    shown = [row | {"options": ", ".join(f"{k}={v}" for k, v in row["options"].items())} for row in rows]
    out.print(_table(shown, ["method", "what", "options", "paper"]))
    out.print(
        "\nIn a YAML: method: [snip, {name: force, rounds: 300}]. Your own: docs/adding-a-method.md", markup=False
    )


def architecture_rows() -> list[Row]:
    """The shipped architectures, with their weights at ten classes of 32×32 colour images where they take these."""
    rows = []
    for name in models.names():
        large, digits = name.startswith("imagenet_"), name.endswith("_digits")
        images = data.info("imagenet" if large else "digits" if digits else "cifar10")
        with torch.device("meta"):
            model = models.build(
                name, classes=images.classes or 10, channels=images.channels, size=images.image_size or 32
            )
        weights = pruning.prunable(model).values()
        rows.append({
            "architecture": name,
            "what": models.describe(name),
            "prunable": sum(w.numel() for w in weights),
            "tensors": len(weights),
            "classes": images.classes,
            "options": {"init": "kaiming_normal", **models.check(name, {})},
        })  # fmt: skip
    return rows


def architectures(out: Console, rows: Sequence[Row]) -> None:
    """The architectures as a table."""
    shown = [
        row | {"prunable": f"{row['prunable']:,}", "options": ", ".join(f"{k}={v}" for k, v in row["options"].items())}
        for row in rows
    ]
    out.print(_table(shown, ["architecture", "prunable", "tensors", "classes", "what", "options"]))
    out.print(
        "\nIn a YAML: architecture: [resnet50, {name: vgg19, width: 0.5}]. Your own: package.module:factory",
        markup=False,
    )


def report(out: Console, files: ReportFiles) -> None:
    """Where the report is, and its table."""
    for table in files.tables:
        out.print(render(table), "")
    for path in files.all:
        out.print(str(path), markup=False)


def _name(values: Mapping[str, Any]) -> str:
    parts = (values["architecture_label"], values["method_label"], percent(values["sparsity"]), f"s{values['seed']}")
    return " ".join(parts)


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        numeric = bool(rows) and isinstance(rows[0][column], (int, float))
        table.add_column(column.replace("_", " "), justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*(_cell(row[column]) for column in columns))
    return table


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return "×".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
