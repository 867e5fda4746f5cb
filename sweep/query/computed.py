"""The columns of the view trials that no record has: names for people, and whether a run ended at chance."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pyarrow as pa

from sweep.report.cells import chance_limit
from sweep.report.names import architecture_name, data_name, method_name


class Computed(NamedTuple):
    """A function of stored columns.

    Attributes:
        value: of one row; equal rows have equal values.
        of: the columns that it is called with.
    """

    value: Callable[..., Any]
    of: tuple[str, ...]

    def column(self, rows: pa.Table) -> list[Any]:
        """The values of all rows; computed once for equal ones."""
        arguments = list(zip(*(rows[name].to_pylist() for name in self.of), strict=True))
        values = {distinct: self.value(*distinct) for distinct in set(arguments)}
        return [values[each] for each in arguments]


def is_at_chance(accuracy: float | None, classes: int | None) -> bool | None:
    """Whether an accuracy is one that counts as chance; None if that is unknown."""
    return None if accuracy is None or not classes else accuracy <= chance_limit(classes)


COMPUTED = {
    "data_name": Computed(data_name, ("data", "data_encoding")),
    "architecture_name": Computed(architecture_name, ("architecture_label",)),
    "method_name": Computed(method_name, ("method_label",)),
    "at_chance": Computed(is_at_chance, ("test_accuracy", "classes")),
}
