"""Methods over all cells of a report: one task is a data set, network, recipe and sparsity.

Interquartile mean and probability of improvement as in *rliable* (Agarwal et al. 2021), and average ranks (Demšar
2006). All completed runs count, those at chance too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sweep.report.cells import Cell, accuracies, by_sparsity
from sweep.report.names import method_order
from sweep.report.trials import Panel
from sweep.statistics import Interval, Ranks, average_ranks, interquartile_mean, probabilities_of_improvement

_SHARE = 0.5  # of all cells that a method must have run in


@dataclass(frozen=True)
class Aggregate:
    """Methods compared over the cells in which every one of them completed a run.

    Attributes:
        methods: labels, in order of tables.
        tasks: number of cells.
        all_tasks: number of cells with a completed run of any method.
        left_out: methods that ran in less than half of all cells, and in how many.
        interquartile_means: one a method, as fractions.
        ranks: average ranks of the cells' means.
        improvements: (X, Y) -> the probability that X is above Y; of each pair of methods, the later in order first.
    """

    methods: tuple[str, ...]
    tasks: int
    all_tasks: int
    left_out: Mapping[str, int]
    interquartile_means: tuple[Interval, ...]
    ranks: Ranks
    improvements: Mapping[tuple[str, str], Interval]

    def improvement(self, first: str, second: str) -> Interval | None:
        """The probability that ``first`` is above ``second``; None of one method and itself."""
        if (first, second) in self.improvements or first == second:
            return self.improvements.get((first, second))
        turned = self.improvements[second, first]
        return Interval(1 - turned.estimate, 1 - turned.high, 1 - turned.low)


def aggregate(panels: Sequence[Panel]) -> Aggregate | None:
    """Over all panels, without dense networks and controls; None of fewer than two methods or two cells."""
    columns = [column for panel in panels for column in _columns(panel)]
    ran = {label: sum(label in column for column in columns) for column in columns for label in column}
    ordered = sorted(ran, key=method_order)
    methods = [label for label in ordered if ran[label] >= _SHARE * len(columns)]
    shared = [column for column in columns if all(label in column for label in methods)]
    if len(methods) < 2 or len(shared) < 2:
        return None
    tasks = [{label: accuracies(column[label].completed) for label in methods} for column in shared]
    means = np.array([[column[label].mean_all for label in methods] for column in shared])
    pairs = [(later, earlier) for index, later in enumerate(methods) for earlier in methods[:index]]
    return Aggregate(
        methods=tuple(methods),
        tasks=len(shared),
        all_tasks=len(columns),
        left_out={label: ran[label] for label in ordered if label not in methods},
        interquartile_means=tuple(interquartile_mean([task[label] for task in tasks]) for label in methods),
        ranks=average_ranks(means),
        improvements=dict(zip(pairs, probabilities_of_improvement(tasks, pairs), strict=True)),
    )


def _columns(panel: Panel) -> list[dict[str, Cell]]:
    """Method label -> cell with a completed run, one a sparsity."""
    columns = [
        {cell.method_label: cell for cell in column if cell.completed and not cell.control}
        for column in by_sparsity(panel.cells).values()
    ]
    return [column for column in columns if column]
