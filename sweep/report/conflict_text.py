"""What differs between the outcome of a trial that counts and one with another result, as text and as plain values."""

from collections.abc import Iterable, Iterator
from typing import Any

from sweep.report.record_page import field_text
from sweep.store.conflicts import StoredOutcome
from sweep.store.same_result import Difference, Row, provenance_differences, result_differences
from sweep.text import redacted

_UNKNOWN = "–"
_OBVIOUS = {"written"}  # stands beside each outcome


def outcome_text(row: Row) -> str:
    """``91.20%, written 2026-11-28 10:12:05 UTC on cluster-b``."""
    accuracy = "" if row["test_accuracy"] is None else f"{100 * row['test_accuracy']:.2f}%"
    written = f"written {value_text('written', row['written'])}" if row["written"] else ""
    place = f" on {row['cluster'] or row['host']}" if row["cluster"] or row["host"] else ""
    return ", ".join(filter(None, [accuracy, f"{written}{place}".strip()]))


def result_text(counts: Row, other: Row) -> str:
    """``test_accuracy 0.912 / 0.9115; test_loss, mask_hash``: values of the accuracy, names of the other columns."""
    differences = result_differences(counts, other)
    names = [each.field for each in differences if each.field != "test_accuracy"]
    accuracy = [_values(each) for each in differences if each.field == "test_accuracy"]
    return "; ".join(filter(None, [*accuracy, ", ".join(names)])) or "epochs"


def provenance_text(counts: Row, other: Row) -> str:
    """``device H100 / A100, versions.torch 2.13.0 / 2.11.0``; empty where nothing but the time differs."""
    differences = provenance_differences(counts, other)
    return redacted(", ".join(_values(each) for each in differences if each.field not in _OBVIOUS))


def other_result_lines(counts: Row, others: Iterable[Row]) -> Iterator[str]:
    """Three lines for each other result: what it is, what differs in it, and in how it came about."""
    for other in others:
        yield f"other result: {outcome_text(other)}"
        yield f"  differs in: {result_text(counts, other)}"
        yield f"  came about with: {provenance_text(counts, other) or 'nothing that is recorded'}"


def other_values(counts: Row, other: Row) -> dict[str, Any]:
    """One other outcome, and what differs as [value that counts, other value] by field, for JSON."""
    return {
        **outcome_values(other),
        "result": _pairs(result_differences(counts, other)),
        "provenance": _pairs(provenance_differences(counts, other)),
    }


def outcome_values(row: Row) -> dict[str, Any]:
    """One outcome, for JSON."""
    return {name: _plain(row[name]) for name in ("outcome", "written", "cluster", "host", "test_accuracy")}


def conflict_values(counts: StoredOutcome, others: Iterable[StoredOutcome]) -> dict[str, Any]:
    """A trial with several results, for JSON."""
    return {
        "trial_id": counts.trial_id,
        "counts": outcome_values(counts.row) | {"outcome": counts.key[1]},
        "others": [other_values(counts.row, other.row) | {"outcome": other.key[1]} for other in others],
    }


def value_text(field: str, value: Any) -> str:
    """One value."""
    return _UNKNOWN if value is None else field_text(field, value)


def _values(each: Difference) -> str:
    return f"{each.field} {value_text(each.field, each.counts)} / {value_text(each.field, each.other)}"


def _pairs(differences: Iterable[Difference]) -> dict[str, list[Any]]:
    return {each.field: [_plain(each.counts), _plain(each.other)] for each in differences}


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else redacted(value) if isinstance(value, str) else value
