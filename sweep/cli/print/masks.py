"""The masks of one trial by layer, the overlap of two, and what was exported."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.bar import Bar
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweep.cli.print.console import Row
from sweep.errors import InputError
from sweep.records import TrialRecord
from sweep.store import Store

if TYPE_CHECKING:  # which take torch
    from pruning.overlap import Overlap
    from sweep.export.files import Exported

_COLUMNS = ["trial_id", "tensor", "position", "shape", "total", "kept", "density", "effective_kept"]


def layers_json(store: Store, record: TrialRecord) -> list[Row]:
    """One row for each masked tensor, in the network's order.

    Raises:
        InputError: the trial has no masks.
    """
    rows = store.masks([record.trial_id], _COLUMNS).sort_by("position").to_pylist()
    if not rows:
        raise InputError(f"trial {record.trial_id} has no masks in {store.name}: it is {record.status}")
    return [{name: row[name] for name in _COLUMNS[1:]} for row in rows]


def layers(out: Console, record: TrialRecord, rows: Sequence[Row]) -> None:
    """The layers of a mask as a table with bars."""
    densest = max(row["density"] for row in rows) or 1.0
    out.print(Text(f"{record.title}  {record.trial_id}", style="bold"))
    kept, total = (sum(row[name] for row in rows) for name in ("kept", "total"))
    cells = [(row["tensor"], f"{row['total']:,}", f"{row['kept']:,}", _percent(row["density"])) for row in rows]
    cells.append(("total", f"{total:,}", f"{kept:,}", _percent(kept / total)))
    table = Table(box=None, pad_edge=False)
    table.add_column("tensor", overflow="fold")  # where a terminal is narrow, over two lines
    for name in ("weights", "kept", "density"):
        table.add_column(name, justify="right", overflow="fold")
    room = out.width - sum(max(map(len, column)) + 1 for column in zip(*cells, strict=True))
    table.add_column(f"full bar: {_percent(densest)}", max_width=max(4, min(24, room - 4)))
    for cell, row in zip(cells, rows, strict=False):
        table.add_row(Text(cell[0]), *cell[1:], Bar(densest, 0, row["density"], color="cyan"))
    table.add_row(Text(cells[-1][0], "bold"), *cells[-1][1:])
    out.print(table)
    if all(row["effective_kept"] is not None for row in rows):
        effective = sum(row["effective_kept"] for row in rows)
        out.print(f"on a path from input to output: {effective:,} of the {kept:,} kept weights")
    if empty := [row["tensor"] for row in rows if not row["kept"]]:
        out.print(f"empty: {', '.join(empty)}", markup=False)


def overlap_json(rows: Sequence["Overlap"]) -> list[Row]:
    """The overlap by tensor and in total, in plain values."""
    return [{**row._asdict(), "jaccard": row.jaccard} for row in rows]


def overlap(out: Console, trials: Sequence[TrialRecord], rows: Sequence["Overlap"]) -> None:
    """The overlap of two masks as a table."""
    for letter, record in zip("AB", trials, strict=True):
        out.print(Text(f"{letter}  {record.title}  {record.trial_id}", style="bold"))
    table = Table(box=None, pad_edge=False)
    table.add_column("tensor", overflow="fold")  # where a terminal is narrow, over two lines
    for name in ("A", "B", "both", "by chance", "Jaccard"):
        table.add_column(name, justify="right", overflow="fold")
    for row in rows:
        jaccard = "–" if row.jaccard is None else f"{row.jaccard:.3f}"
        expected = f"{row.expected:,.0f}" if row.expected >= 10 else f"{row.expected:.1f}"
        table.add_row(
            Text(row.name, "bold" if row is rows[-1] else ""),
            *(f"{count:,}" for count in (row.first, row.second, row.both)),
            expected,
            jaccard,
        )
    out.print(table)
    out.print(
        "A, B, both: kept weights; by chance: what both would keep if each kept its number of every tensor at random"
    )


def exported(out: Console, record: TrialRecord, result: "Exported") -> None:
    """The files that were written, and how to open the first."""
    for file in result.files:
        out.print(Text(f"wrote {file} ({file.stat().st_size:,} bytes)"), soft_wrap=True)
    network = result.network
    if network is not None:
        if network.reason:
            out.print(f"no channel removed: {network.reason}", markup=False)
        out.print(
            f"{network.weights:,} of {network.weights_dense:,} weights, {network.macs:,} of {network.macs_dense:,} MACs"
        )
        off = f"at most {network.difference:.1e}, where the largest is {network.largest:.3g}"
        out.print(f"its logits differ from the masked network's by {off} (random images)")
    weights = f", {result.weights} weights" if result.weights else ""
    out.print(f"{record.title}{weights}; open with {result.opened_by}", markup=False)


def exported_json(record: TrialRecord, result: "Exported") -> Row:
    """The same in plain values."""
    return {
        "trial_id": record.trial_id,
        "files": [str(file) for file in result.files],
        "format": result.format,
        "weights": result.weights,
    }


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.3g} %"
