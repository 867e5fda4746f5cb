"""How far a method can be pruned: where it falls under dense, where it meets random, where it collapses.

Crossings are interpolated linearly between the sparsities that were run, over −log10(density): from 90 % to 99 % is as
far as from 99 % to 99.9 %. A curve is the mean of all completed runs, those at chance too: a collapse is a fall.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sweep.records import DIVERGED
from sweep.report.cells import Cell, by_label, is_collapsed
from sweep.report.names import split_control
from sweep.report.trials import Panel
from sweep.statistics import Bound, Crossing, MedianSurvival, Run, crossing, median_survival

BASELINE = "random"


@dataclass(frozen=True)
class Thresholds:
    """Of one method of a panel, as sparsities. None where a curve that is needed was not run.

    Attributes:
        method_label: of the method.
        one_point, five_points: where its mean falls more than 1, or 5, percentage points under the dense network.
        meets_random: beyond which its mean is nowhere above that of random masks.
        collapse: the largest sparsity that more than half of its runs train at. A seed's run ends at the first sparsity
            where it is at chance or diverges; a seed that was never seen to is censored at its last sparsity.
    """

    method_label: str
    one_point: Crossing | None
    five_points: Crossing | None
    meets_random: Crossing | None
    collapse: MedianSurvival | None


def thresholds(panel: Panel) -> tuple[Thresholds, ...]:
    """Of every method of a panel, controls left out."""
    lines = {label: line for label, line in by_label(panel.cells).items() if not split_control(label)[1]}
    dense = next((cell for cell in panel.cells if cell.method == "dense" and cell.completed), None)
    return tuple(_of_method(panel, label, lines, dense) for label in lines)


def _of_method(panel: Panel, label: str, lines: Mapping[str, Sequence[Cell]], dense: Cell | None) -> Thresholds:
    line = [cell for cell in lines[label] if cell.completed or cell.diverged]
    sparsities = [cell.sparsity for cell in line]
    places, curve = np.array([_place(s) for s in sparsities]), _curve(panel, line)
    under_dense: list[Crossing | None] = [None, None]
    if dense is not None and line:
        heights = np.repeat(_curve(panel, [dense]), len(line), axis=1)
        under_dense = [_crossing(places, curve, heights - margin) for margin in (0.01, 0.05)]
    meets = None
    if label != BASELINE and BASELINE in lines:
        others = {cell.sparsity: cell for cell in lines[BASELINE]}
        common = [index for index, sparsity in enumerate(sparsities) if sparsity in others]
        baseline = _curve(panel, [others[sparsities[index]] for index in common])
        meets = _crossing(places[common], curve[:, common], baseline, last=True) if common else None
    return Thresholds(label, under_dense[0], under_dense[1], meets, _collapse(line))


def _place(sparsity: float) -> float:
    return -float(np.log10(1 - sparsity))


def _curve(panel: Panel, line: Sequence[Cell]) -> np.ndarray:
    """Accuracies, seeds × cells; NaN where a run is missing."""
    rows = {seed: row for row, seed in enumerate(panel.seeds)}
    curve = np.full((len(rows), len(line)), np.nan)
    for column, cell in enumerate(line):
        for trial in cell.completed:
            curve[rows[trial.seed], column] = trial.test_accuracy
    return curve


def _crossing(places: np.ndarray, upper: np.ndarray, lower: np.ndarray, last: bool = False) -> Crossing | None:
    seen = ~(np.isnan(upper).all(axis=1) & np.isnan(lower).all(axis=1))
    found = crossing(places, upper[seen], lower[seen], last=last)
    if found is None:
        return None
    return Crossing(_sparsity(found.estimate), found.low and _sparsity(found.low), found.high and _sparsity(found.high))


def _sparsity(bound: Bound) -> Bound:
    return Bound(1 - 10**-bound.value if bound.side == "at" else round(1 - 10**-bound.value, 12), bound.side)


def _collapse(line: Sequence[Cell]) -> MedianSurvival | None:
    ends: dict[int, Run] = {}
    for cell in line:  # sparsities rise
        for trial in (*cell.completed, *(trial for trial in cell.trials if trial.status == DIVERGED)):
            if trial.seed not in ends or not ends[trial.seed].ended:
                ends[trial.seed] = Run(cell.sparsity, trial.status == DIVERGED or is_collapsed(trial))
    return median_survival([cell.sparsity for cell in line], list(ends.values()))
