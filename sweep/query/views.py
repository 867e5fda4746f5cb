"""The tables of :func:`sweep.load`, which are the views of ``sweep query``: their columns, with types and meanings.

The meaning of a stored column stands in the docstring of its record (:mod:`sweep.records`). A computed column is an
entry of ``_COMPUTED``; its value is in :mod:`sweep.query.computed`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from pruning.docstrings import attributes
from sweep.records import EpochRecord, MaskRecord, RoundRecord, TrialRecord, schema

MEANING = "meaning"  # key of the metadata of every field of a table
_SQL = {
    pa.string(): "VARCHAR",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
    pa.binary(): "BLOB",
    pa.timestamp("us", tz="+00:00"): "TIMESTAMP WITH TIME ZONE",
}


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: of the column.
        type: in Arrow.
        meaning: what a value is; the start of a sentence in lower case.
        nullable: whether values may be missing.
    """

    name: str
    type: pa.DataType
    meaning: str
    nullable: bool = True

    @property
    def sql_type(self) -> str:
        """The type in DuckDB."""
        return f"{_SQL[self.type.value_type]}[]" if pa.types.is_list(self.type) else _SQL[self.type]


@dataclass(frozen=True)
class View:
    """One table.

    Attributes:
        name: of the view, and of the attribute of :class:`sweep.query.tables.Tables`.
        rows: what a row is.
        columns: in order.
    """

    name: str
    rows: str
    columns: tuple[Column, ...]

    @cached_property
    def schema(self) -> pa.Schema:
        """In Arrow; every field's metadata has its meaning."""
        fields = [pa.field(c.name, c.type, c.nullable, {MEANING: c.meaning}) for c in self.columns]
        return pa.schema(fields, metadata={"rows": self.rows})


def _stored(record: type, without: Collection[str] = ()) -> dict[str, Column]:
    """The fields of a record as columns, by name."""
    meanings = attributes(record, "Attributes")
    fields = [field for field in schema(record) if field.name not in without]
    return {
        field.name: Column(field.name, field.type, meanings.get(field.name, ""), field.nullable) for field in fields
    }


def _view(name: str, rows: str, columns: Mapping[str, Column], first: Sequence[str] = ()) -> View:
    """A view with these columns, some of them ``first``."""
    names = dict.fromkeys([*first, *columns])
    return View(name, rows, tuple(columns[each] for each in names))


_TEXT = pa.string()
_COMPUTED = (
    Column("sweeps", pa.list_(_TEXT), "names of all sweeps that the trial belongs to.", nullable=False),
    Column("data_name", _TEXT, "name of the data set in figures and tables.", nullable=False),
    Column("architecture_name", _TEXT, "name of the network in figures and tables.", nullable=False),
    Column("method_name", _TEXT, "name of the method in figures and tables, with its ablation.", nullable=False),
    Column(
        "at_chance",
        pa.bool_(),
        "whether test_accuracy is not clearly above 1 / classes, so that the network did not train; null without a "
        "test accuracy.",
    ),
    Column(
        "other_results",
        pa.int64(),
        "number of other results of the trial that are kept; `sweep trial show ID` shows what differs.",
        nullable=False,
    ),
)
_BITS = ("encoding", "packed", "hash")  # of a mask
_FIRST = (
    "trial_id", "sweeps", "status", "data_name", "architecture_name", "method_name", "sparsity", "seed",
    "test_accuracy", "at_chance", "other_results",
)  # fmt: skip
_TRIAL_ID = _stored(TrialRecord)["trial_id"]
_MASK = _stored(MaskRecord)

TRIALS = _view(
    "trials",
    "a trial; of one that was run again, the outcome that counts",
    {column.name: column for column in _COMPUTED} | _stored(TrialRecord, {"rounds"}),
    _FIRST,
)
EPOCHS = _view("epochs", "an epoch of a trial", _stored(EpochRecord))
LAYERS = _view("layers", "a masked layer of a trial", _stored(MaskRecord, _BITS))
MASKS = _view(
    "masks",
    "a masked layer of a trial, with its mask",
    {name: _MASK[name] for name in _MASK if name in ("trial_id", "tensor", "position", "shape", *_BITS)},
)
ROUNDS = _view("rounds", "a score→mask pass of a trial", {"trial_id": _TRIAL_ID} | _stored(RoundRecord))
VIEWS = {view.name: view for view in (TRIALS, EPOCHS, LAYERS, MASKS, ROUNDS)}
