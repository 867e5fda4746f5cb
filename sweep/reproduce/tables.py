"""The verdict for people and for machines: tables, and one row of plain values for each judged row."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from sweep.report.names import method_name
from sweep.report.table import Table, TableEntry
from sweep.reproduce.published import FAIL, PASS, Claim, Number
from sweep.reproduce.sample import mean_text
from sweep.reproduce.verdict import VERDICTS, JudgedRow, Verdict
from sweep.text import percent

_OURS = (
    "Ours: test accuracy after the last of {epochs} epochs in %, mean ± sample standard deviation (n) of all completed "
    "runs, those at chance too."
)
_CLAIMS = (
    "Difference: first minus second method in percentage points, seed by seed (same initial weights and batches). A "
    "claim passes where the whole 95% t-interval lies on its side of zero, fails where it lies on the other."
)


def tables(verdicts: Iterable[Verdict], epochs: int) -> list[Table]:
    """One table of numbers and one of claims for each network and copy of the data.

    Args:
        verdicts: in order.
        epochs: of our training.
    """
    all_tables = [table(verdict, epochs) for verdict in verdicts for table in (_numbers, _claims)]
    return [table for table in all_tables if table.rows]


def tally(rows: Sequence[JudgedRow]) -> str:
    """``7 pass, 2 fail (1 known), 1 missing``."""
    counts, known = Counter(row.verdict for row in rows), sum(bool(row.known) for row in rows)
    named = {FAIL: f" ({known} known)" if known else ""}
    return ", ".join(f"{counts[verdict]} {verdict}{named.get(verdict, '')}" for verdict in VERDICTS if counts[verdict])


def verdict_text(row: JudgedRow) -> str:
    """``pass``, ``undecided (both at chance)``, ``fail (known: …)``."""
    if row.known:
        return f"{row.verdict} (known: {row.known})"
    if isinstance(row.published, Claim) and row.published.expected == FAIL and row.verdict == PASS:
        return f"{row.verdict} (was known to fail)"
    return f"{row.verdict} ({row.remark})" if row.remark else row.verdict


def _numbers(verdict: Verdict, epochs: int) -> Table:
    rows = [(row, row.published) for row in verdict.rows if isinstance(row.published, Number)]
    body = [
        (_title(number), row.ours.text(), _number(number), _signed(row.difference), _tolerance(number), _verdict(row))
        for row, number in rows
    ]
    numbers = [number for _, number in rows]
    notes = [_OURS.format(epochs=epochs), *map(_reading, numbers), *map(_allowance, numbers)]
    header = ("number", "ours", "published", "difference", "tolerance", "verdict")
    return _table(f"{verdict.title}: published numbers", notes, header, body)


def _number(number: Number) -> str:
    collapsed = ", all at chance" if number.tolerance is None else ""
    return mean_text(number.value, number.std, number.n) + collapsed


def _tolerance(number: Number) -> str:
    return "all at chance" if number.tolerance is None else f"±{number.tolerance:.2f}"


def _claims(verdict: Verdict, epochs: int) -> Table:
    rows = [(row, row.published) for row in verdict.rows if isinstance(row.published, Claim)]
    body = [
        (_title(claim), row.ours.text(), _reference(row), _signed(row.difference), _interval(row), _verdict(row))
        for row, claim in rows
    ]
    notes = [_OURS.format(epochs=epochs), _CLAIMS, *(f"Claimed by {claim.source}." for _, claim in rows)]
    header = ("claim", "first", "second", "difference", "95% interval", "verdict")
    return _table(f"{verdict.title}: published claims", notes, header, body)


def _reference(row: JudgedRow) -> str:
    return row.reference.text() if row.reference else "–"


def _interval(row: JudgedRow) -> str:
    return f"{row.interval.low:+z.2f} to {row.interval.high:+z.2f}" if row.interval else "–"


def _verdict(row: JudgedRow) -> TableEntry:
    """Bold where the row is not in order."""
    return TableEntry(verdict_text(row), best=not row.in_order)


def _table(
    title: str, notes: Iterable[str], header: tuple[str, ...], body: Iterable[tuple[str | TableEntry, ...]]
) -> Table:
    rows = (tuple(TableEntry(cell) if isinstance(cell, str) else cell for cell in line) for line in body)
    return Table(title, tuple(dict.fromkeys(filter(None, notes))), header, tuple(rows))


def _title(published: Number | Claim) -> str:
    """``SNIP, 99%``, ``SNIP below Random, 99%``, ``Dense (beside SNIP)``."""
    name = method_name(published.method)
    if isinstance(published, Claim):
        return f"{name} {published.relation} {method_name(published.reference)}, {percent(published.sparsity)}"
    where = f", {percent(published.sparsity)}" if published.sparsity else ""
    return f"{name}{where}" + (f" ({published.note})" if published.note else "")


def _signed(points: float | None) -> str:
    return "–" if points is None else f"{points:+z.2f}"


def _reading(number: Number) -> str:
    return f"Published: {number.reading} of {number.epochs}, {number.split}; {number.source}."


def _allowance(number: Number) -> str:
    return f"Tolerance in percentage points: {number.allows}." if number.allows else ""


def verdict_rows(verdicts: Iterable[Verdict], epochs: int) -> list[dict[str, Any]]:
    """One row of plain values for each judged row: accuracies in per cent, differences in percentage points."""
    return [_plain_row(verdict.title, row, epochs) for verdict in verdicts for row in verdict.rows]


def _plain_row(title: str, row: JudgedRow, epochs: int) -> dict[str, Any]:
    published = row.published
    number, claim = (published, None) if isinstance(published, Number) else (None, published)
    return {
        "panel": title,
        "kind": "number" if number else "claim",
        "what": _title(published),
        "verdict": row.verdict,
        "remark": row.remark,
        "in_order": row.in_order,
        "known": row.known,
        "architecture": published.architecture,
        "method": published.method,
        "relation": claim.relation if claim else None,
        "reference": claim.reference if claim else None,
        "sparsity": published.sparsity,
        "ours_mean": row.ours.mean,
        "ours_std": row.ours.std,
        "ours_n": row.ours.n,
        "ours_at_chance": len(row.ours.at_chance),
        "ours_epochs": epochs,
        "reference_mean": row.reference.mean if row.reference else None,
        "reference_std": row.reference.std if row.reference else None,
        "reference_n": row.reference.n if row.reference else None,
        "reference_at_chance": len(row.reference.at_chance) if row.reference else None,
        "published_value": number.value if number else None,
        "published_std": number.std if number else None,
        "published_n": number.n if number else None,
        "published_reading": number.reading if number else None,
        "published_split": number.split if number else None,
        "published_epochs": number.epochs if number else None,
        "difference": row.difference,
        "interval_low": row.interval.low if row.interval else None,
        "interval_high": row.interval.high if row.interval else None,
        "tolerance": number.tolerance if number else None,
        "tolerance_allows": number.allows if number else None,
        "source": published.source,
    }
