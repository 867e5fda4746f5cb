"""Which outcomes of a trial have the same result, and what differs between those that have not.

The result of a completed trial is its epochs and every column of its row that neither follows from its id nor says
when, where and how it ran (:data:`sweep.records.CIRCUMSTANCES`). Masks and final weights enter by their hashes.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from sweep.config.flatten import flatten
from sweep.records import ADDED_LATER, CIRCUMSTANCES, EpochRecord, TrialRecord

_OF_ID = {  # columns that follow from the trial's id; versions of sweep may write them in another form
    "trial_id", "data", "architecture", "architecture_options", "architecture_label", "method", "method_options",
    "method_label", "sparsity", "seed", "ablation",
}  # fmt: skip
_OF_COMPUTING = {"accumulate", "trained_weights", "trained_macs", "kept_weights_hash"}  # how it was trained and stored
_OF_ENDING = {"status", "error_type", "error_message"}  # the same for all completed trials
_NO_RESULT = CIRCUMSTANCES | ADDED_LATER | _OF_ID | _OF_COMPUTING | _OF_ENDING
RESULT = tuple(field.name for field in fields(TrialRecord) if field.name not in _NO_RESULT)
PROVENANCE = (
    "cluster", "host", "device", "gpu_share", "threads", "step", "attempts", "accumulate",
    "trained_weights", "git_commit", "git_dirty", "written",
)  # fmt: skip
_OF_EPOCH = tuple(field.name for field in fields(EpochRecord) if field.name not in {"trial_id", *CIRCUMSTANCES})

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Difference:
    """A value of the outcome that counts, and that of another one.

    Attributes:
        field: the column; of versions and configs the package or key: ``versions.torch``, ``config.data.path``.
    """

    field: str
    counts: Any
    other: Any


def result_of_row(row: Row) -> str:
    """A hash of the result as far as the trial's row holds it."""
    return _hash([row[name] or [] if name == "rounds" else row[name] for name in RESULT])


def result_of_epochs(rows: Iterable[Row]) -> str:
    """A hash of a trial's epochs."""
    return _hash(sorted([row[name] for name in _OF_EPOCH] for row in rows))


def result_differences(counts: Row, other: Row) -> list[Difference]:
    """The columns of the result that differ, without the rounds; none where only the epochs differ."""
    return list(_differing({name: (counts[name], other[name]) for name in RESULT if name != "rounds"}))


def provenance_differences(counts: Row, other: Row) -> list[Difference]:
    """What differs in where, when and by which code two outcomes came about."""
    pairs: dict[str, tuple[Any, Any]] = {name: (counts[name], other[name]) for name in PROVENANCE}
    for column in ("versions", "config"):
        first, second = (_flat(row[column]) for row in (counts, other))
        pairs |= {f"{column}.{key}": (first.get(key), second.get(key)) for key in {**first, **second}}
    return list(_differing(pairs))


def _differing(pairs: Mapping[str, tuple[Any, Any]]) -> Iterator[Difference]:
    for name, (counts, other) in pairs.items():
        if repr(counts) != repr(other):  # nan equals nan
            yield Difference(name, counts, other)


def _flat(text: str | None) -> dict[str, Any]:
    """A JSON object as dotted keys and values."""
    try:
        return dict(flatten(json.loads(text or "{}")))
    except (ValueError, AttributeError):
        return {"": text}


def _hash(values: Any) -> str:
    return hashlib.sha256(repr(values).encode()).hexdigest()
