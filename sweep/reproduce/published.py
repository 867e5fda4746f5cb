"""Published results as data: ``NAME.csv`` has numbers and ``NAME.claims.csv`` claims, one a row.

Both are in the folder ``published`` beside the sweep's YAML, and name architectures, methods and sparsities as it does.

* Numbers are in per cent. ``reading`` says which accuracy of a run was published: "final" is the one we report; "best
  over epochs" is chosen on the test set and a little higher. ``tolerance`` is in percentage points and ``allows`` says
  how it is made up; where it is ``collapse``, every run was at chance, and ours have to be, too.
* A claim says that a method ends ``below`` or ``above`` a reference at one sparsity. Only for our embedded data set,
  where the result is known to differ, ``expected`` may be "fail"; ``reason`` then says why.
"""

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sweep.errors import InputError
from training.suggest import suggest

COLLAPSE = "collapse"
BELOW, ABOVE = RELATIONS = ("below", "above")
PASS, FAIL = EXPECTED = ("pass", "fail")
READINGS = ("final", "best over epochs")
T = TypeVar("T")
Readers = dict[str, Callable[[str], Any]]


@dataclass(frozen=True)
class Number:
    """One published accuracy, in per cent.

    Attributes:
        std, n: sample standard deviation and number of runs, as far as they are known.
        tolerance: largest difference to ours, in percentage points; None where all runs collapsed.
        note: distinguishes this number from another of the same cell.
        where: file and line.
    """

    architecture: str
    method: str
    sparsity: float
    value: float
    std: float | None
    n: int | None
    reading: str
    split: str
    epochs: int
    tolerance: float | None
    allows: str
    note: str
    source: str
    where: str


@dataclass(frozen=True)
class Claim:
    """``method`` ends ``relation`` ``reference``; ``expected`` is the verdict known for our data."""

    architecture: str
    method: str
    relation: str
    reference: str
    sparsity: float
    expected: str
    reason: str
    source: str
    where: str


def read_numbers(path: Path) -> list[Number]:
    """The rows of ``NAME.csv``.

    Raises:
        InputError: with the line, the column and the fix.
    """
    readers: Readers = {
        **dict.fromkeys(("architecture", "method", "split", "source"), _text),
        **dict.fromkeys(("allows", "note"), str),
        "sparsity": _sparsity,
        "value": _percent,
        "std": _or_none(_points),
        "n": _or_none(_count),
        "reading": _one_of(READINGS),
        "epochs": _count,
        "tolerance": lambda text: None if text == COLLAPSE else _points(text),
    }
    return [Number(**row) for row in _rows(path, readers, optional=("allows", "note"))]


def read_claims(path: Path) -> list[Claim]:
    """The rows of ``NAME.claims.csv``.

    Raises:
        InputError: with the line, the column and the fix.
    """
    readers: Readers = {
        **dict.fromkeys(("architecture", "method", "reference", "source"), _text),
        "relation": _one_of(RELATIONS),
        "sparsity": _sparsity,
        "expected": lambda text: _one_of(EXPECTED)(text or PASS),
        "reason": str,
    }
    claims = [Claim(**row) for row in _rows(path, readers, optional=("expected", "reason"))]
    for claim in claims:
        if (claim.expected == FAIL) is not bool(claim.reason):
            raise InputError(f"{claim.where}: reason: goes with 'expected' fail, and 'expected' fail needs one")
    return claims


def _rows(path: Path, readers: Readers, optional: Iterable[str]) -> list[dict[str, Any]]:
    """The rows of a CSV with a header, each value parsed by its column's reader; ``where`` is file and line."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, restkey="", strict=True)
            header = list(reader.fieldnames or [])
            lines = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot read this table: {error}") from None
    for column in header:
        if column not in readers:
            raise InputError(f"{path}:1: unknown column {column!r}; {suggest(column, readers)}")
    for column in readers:
        if column not in header and column not in optional:
            raise InputError(f"{path}:1: the column {column!r} is missing; the columns are {', '.join(readers)}")
    return [_row(f"{path}:{line}", row, readers) for line, row in lines]


def _row(where: str, row: dict[str, Any], readers: Readers) -> dict[str, Any]:
    if "" in row or None in row.values():
        many = "more" if "" in row else "fewer"
        raise InputError(f"{where}: {many} values than columns; quote a value that holds a comma")
    values: dict[str, Any] = {"where": where}
    for column, read in readers.items():
        try:
            values[column] = read((row.get(column) or "").strip())
        except ValueError as error:
            raise InputError(f"{where}: {column}: {error}") from None
    return values


def _text(text: str) -> str:
    if not text:
        raise ValueError("is empty")
    return text


def _one_of(choices: tuple[str, ...]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"{text!r} is none of {', '.join(choices)}")
        return text

    return read


def _or_none(read: Callable[[str], T]) -> Callable[[str], T | None]:
    return lambda text: read(text) if text else None


def _number(text: str, least: float, below: float, expected: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{expected}, not {text!r}") from None
    if not least <= value < below:
        raise ValueError(f"{expected}, not {text}")
    return value


def _sparsity(text: str) -> float:
    return _number(text, 0, 1, "the fraction removed, in [0, 1)")


def _percent(text: str) -> float:
    return _number(text, 0, 100.001, "an accuracy in per cent, 0 to 100")


def _points(text: str) -> float:
    return _number(text, 0, 100, "a number of percentage points")


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise ValueError(f"a whole number of at least 1, not {text!r}")
    return int(text)
