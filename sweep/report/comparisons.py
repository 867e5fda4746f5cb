"""All comparisons of a panel, in families that Holm's correction covers, and which methods are not worse than the best.

A family is what one table compares at one panel, over all its sparsities. The same two methods are in several families,
with the same numbers but for ``p_holm``: a table that makes fewer comparisons corrects for fewer.
"""

from collections.abc import Iterable, Iterator
from functools import cached_property

from sweep.report.cells import Cell, best, by_sparsity, labels
from sweep.report.comparison import EQUIVALENCE, Comparison, compare
from sweep.report.names import split_control
from sweep.report.trials import Panel
from sweep.statistics import holm

REFERENCES = ("random", "snip")  # methods are compared with the first of these that was run
FEWEST = 3  # seeds: below, no method is called best
Pair = tuple[Cell, Cell]


class Comparisons:
    """The comparisons of one panel, each computed once."""

    def __init__(self, panel: Panel, margin: float = EQUIVALENCE):
        """``margin``: within which two methods are equivalent, as a fraction."""
        self.panel, self.margin = panel, margin
        self._columns = by_sparsity(panel.cells)
        self._known: dict[tuple[str, str, float], Comparison] = {}

    @cached_property
    def reference(self) -> str | None:
        """The method that others are compared with; None where neither of :data:`REFERENCES` was run."""
        return next((name for name in REFERENCES if name in labels(self.panel.cells)), None)

    @cached_property
    def all_pairs(self) -> tuple[Comparison, ...]:
        """Every two methods, without controls; A is the later in a table, so that it is minus the simpler one."""
        return self._family(
            (cell, earlier)
            for column in self._methods()
            for index, cell in enumerate(column)
            for earlier in column[:index]
        )

    @cached_property
    def with_reference(self) -> tuple[Comparison, ...]:
        """Every method, without controls, minus :attr:`reference`."""
        return self._family(
            (cell, other)
            for column in self._methods()
            for other in column
            if other.method_label == self.reference
            for cell in column
            if cell is not other
        )

    @cached_property
    def of_controls(self) -> tuple[Comparison, ...]:
        """Every control minus the method that it is made of."""
        return self._family(
            (cell, other)
            for column in self._columns.values()
            for cell in column
            if cell.control
            for other in column
            if other.method_label == cell.own_label
        )

    @cached_property
    def with_best(self) -> tuple[Comparison, ...]:
        """The best method of each sparsity minus every other one that could be the best (:meth:`best`)."""
        return self._family(
            (top, cell)
            for column in self._columns.values()
            for top in self.best(column)[:1]
            for cell in _candidates(column)
            if cell is not top
        )

    @cached_property
    def not_worse(self) -> frozenset[tuple[str, float]]:
        """Keys of the cells that are printed bold: the best of a sparsity, and those that are not worse.

        Not worse is a method that the paired t-test against the best, corrected by Holm over :attr:`with_best`, does
        not tell from it at the 5 % level. It must share three seeds with the best; none of its runs may have
        collapsed or diverged.
        """
        tops = {top.key for column in self._columns.values() for top in self.best(column)}
        equal = (c for c in self.with_best if c.n >= FEWEST and not (c.significant and (c.mean or 0) > 0))
        return frozenset(tops | {(comparison.method_b, comparison.sparsity) for comparison in equal})

    @cached_property
    def undecided(self) -> tuple[float, ...]:
        """Sparsities at which no method is called best: none has three runs that trained, and none that did not."""
        return tuple(sparsity for sparsity, column in self._columns.items() if not self.best(column))

    @staticmethod
    def best(column: Iterable[Cell]) -> list[Cell]:
        """Of methods at one sparsity with at least three runs, those with the highest mean (:func:`cells.best`)."""
        return best(_candidates(column))

    def _methods(self) -> Iterator[list[Cell]]:
        """The cells of each sparsity, without controls."""
        for column in self._columns.values():
            yield [cell for cell in column if not split_control(cell.method_label)[1]]

    def _family(self, pairs: Iterable[Pair]) -> tuple[Comparison, ...]:
        found = [self._compare(*pair) for pair in pairs]
        corrected = holm([comparison.p_t for comparison in found])
        return tuple(one.corrected(p) for one, p in zip(found, corrected, strict=True))

    def _compare(self, cell: Cell, other: Cell) -> Comparison:
        key = (cell.method_label, other.method_label, cell.sparsity)
        if key not in self._known:
            turned = self._known.get((key[1], key[0], key[2]))
            self._known[key] = turned.reversed() if turned else compare(cell, other, self.margin)
        return self._known[key]


def _candidates(column: Iterable[Cell]) -> list[Cell]:
    return [cell for cell in column if cell.n >= FEWEST and not cell.collapsed and not cell.diverged]
