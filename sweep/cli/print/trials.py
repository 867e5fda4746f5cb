"""One stored trial, and its rerun."""

import json
from collections.abc import Sequence
from dataclasses import asdict, fields

from rich.console import Console
from rich.text import Text

from sweep.cli.print.console import Row, trial_line
from sweep.launch.rerun import Comparison
from sweep.records import MaskRecord, TrialRecord
from sweep.report import terminal
from sweep.report.conflict_text import other_result_lines, other_values
from sweep.report.record_page import START_AND_END_HEADING, record_fields, some_rounds
from sweep.store import Store
from sweep.store.conflicts import conflicts_of

_NOT_SHOWN = ("hash", "encoding", "effective_density", "start_effective_kept", "macs_dense")  # but in the JSON


def trial_json(store: Store, record: TrialRecord) -> Row:
    """All fields of a trial, its other results, layers and epochs, in plain values; without the packed masks."""
    columns = [field.name for field in fields(MaskRecord) if field.name not in ("trial_id", "position", "packed")]
    masks, epochs = store.masks([record.trial_id], columns), store.epochs([record.trial_id])
    values = asdict(record) | {"config": json.loads(record.config)}
    values["other_results"] = [other_values(vars(record), other) for other in _other_results(store, record)]
    return {**values, "layers": masks.to_pylist(), "by_epoch": epochs.drop_columns(["trial_id"]).to_pylist()}


def trial(out: Console, store: Store, record: TrialRecord) -> None:
    """One trial on a screen or two: its facts under headings, its rounds, its layers, its epochs."""
    values = trial_json(store, record)
    out.print(trial_line(values), style="bold", markup=False)
    out.print(_result(record), style="bold", markup=False)
    for line in other_result_lines(vars(record), _other_results(store, record)):
        out.print(line, markup=False, soft_wrap=True)
    sections = record_fields(record)
    for title, rows in {"outcome": sections["outcome"], **sections}.items():
        columns = START_AND_END_HEADING if len(rows[0]) == len(START_AND_END_HEADING) else ("", "")
        table = terminal.Fitting(columns, [[*map(Text, row)] for row in rows], prose=range(1, len(columns)))
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


def _other_results(store: Store, record: TrialRecord) -> list[Row]:
    """The rows of the trial's other results."""
    return [dict(other.row) for other in conflicts_of(store, [record.trial_id]).get(record.trial_id, ())]


def _result(record: TrialRecord) -> str:
    """The accuracy, or how else the trial ended."""
    if record.test_accuracy is None:
        return " ".join([record.status, *([f"({record.error_type})"] if record.error_type else [])])
    held_out = record.validation_accuracy
    validation = "" if held_out is None else f", validation accuracy {100 * held_out:.2f} %"
    return f"test accuracy {100 * record.test_accuracy:.2f} %{validation}"


def comparisons_json(found: Sequence[Comparison]) -> list[Row]:
    """Every field of a rerun and of the stored trial, in plain values."""
    return [{"field": c.field, "stored": c.stored, "again": c.again, "agrees": c.agrees} for c in found]


def comparisons(out: Console, found: Sequence[Comparison]) -> None:
    """The fields that differ, with both values, the main fields of the outcome, and how many agree."""
    rows = []
    for each in found:
        if not each.agrees or each.field in ("status", "mask_hash", "test_accuracy", "final_weights_hash"):
            verdict = Text("the same", "green") if each.agrees else Text("differs", "red")
            rows.append((Text(each.field), Text(str(each.stored)), Text(str(each.again)), verdict))
    out.print(terminal.Fitting(("", "stored", "again", ""), rows))
    agree = sum(each.agrees for each in found)
    out.print(f"{agree} of {len(found)} fields agree, of the trial, its epochs and its masks")


def _told(rows: Sequence[Row]) -> list[str]:
    """The columns to print: those with a value in some row."""
    return [name for name in rows[0] if name not in _NOT_SHOWN and any(row[name] is not None for row in rows)]
