"""Cells: the runs of one method at one sparsity; which of them collapsed; and pairs of runs of one seed.

A run has *collapsed* when its test accuracy is at most half of chance above chance, less for few classes:

    accuracy <= p + p (1 - p) / 2,    p = 1 / classes      (14.5 % at 10 classes, 1.495 % at 100, 62.5 % at 2)

Collapsed runs are counted and shown, but never averaged with runs that trained: no network has the mean of 90 % and
10 %. (With uneven classes a constant answer scores above this limit; the rule does not account for that.)
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from sweep.records import COMPLETED, DIVERGED, FAILED, INTERRUPTED, TrialRecord
from sweep.report.names import method_order, split_control
from sweep.report.reported_trial import in_conflict
from sweep.statistics import Interval, mean, sample_std, spread, t_interval, wilson_interval

K = TypeVar("K")


def chance_limit(classes: int) -> float:
    """The highest accuracy (fraction) that still counts as chance."""
    chance = 1 / classes
    return chance + chance * (1 - chance) / 2


def is_collapsed(trial: TrialRecord) -> bool:
    """Whether a completed trial ended at chance."""
    if trial.test_accuracy is None or not trial.classes:
        return False
    return trial.test_accuracy <= chance_limit(trial.classes)


def is_in_pieces(trial: TrialRecord) -> bool:
    """Whether the run split its batches for lack of memory: BatchNorm then saw smaller ones."""
    return (trial.accumulate or 1) > 1


@dataclass(frozen=True)
class Cell:
    """One method at one sparsity in one panel: its runs, one a seed. Accuracies are fractions.

    Derived values are cached: every table and figure uses them.

    Attributes:
        trials: of any status.
    """

    method: str
    method_label: str
    sparsity: float
    trials: tuple[TrialRecord, ...]

    @property
    def key(self) -> tuple[str, float]:
        """Unique within its panel. (Comparing cells themselves would compare all of their runs.)"""
        return self.method_label, self.sparsity

    @cached_property
    def control(self) -> str:
        """The control made of the method's mask ("invert"); empty for the method itself."""
        return split_control(self.method_label)[1]

    @cached_property
    def own_label(self) -> str:
        """The label of the method without a control."""
        return split_control(self.method_label)[0]

    @cached_property
    def completed(self) -> tuple[TrialRecord, ...]:
        """The runs with a final test accuracy."""
        return tuple(t for t in self.trials if t.status == COMPLETED and t.test_accuracy is not None)

    @cached_property
    def collapsed(self) -> tuple[TrialRecord, ...]:
        """The completed runs that ended at chance."""
        return tuple(t for t in self.completed if is_collapsed(t))

    @cached_property
    def trained(self) -> tuple[TrialRecord, ...]:
        """The completed runs that did not end at chance: those that are averaged."""
        return tuple(t for t in self.completed if not is_collapsed(t))

    @cached_property
    def in_pieces(self) -> tuple[TrialRecord, ...]:
        """The completed runs that split their batches."""
        return tuple(t for t in self.completed if is_in_pieces(t))

    @cached_property
    def in_conflict(self) -> tuple[TrialRecord, ...]:
        """The completed runs of which other results are kept."""
        return tuple(in_conflict(self.completed))

    @property
    def n(self) -> int:
        """Number of runs that :attr:`mean` averages."""
        return len(self.trained)

    @cached_property
    def mean(self) -> float | None:
        """Mean final test accuracy of the trained runs."""
        return mean(accuracies(self.trained))

    @cached_property
    def std(self) -> float | None:
        """Their sample standard deviation."""
        return sample_std(accuracies(self.trained))

    @cached_property
    def interval(self) -> Interval | None:
        """The 95 % t-interval of :attr:`mean`; None of fewer than two runs, and of equal ones. It may exceed 0 or 1."""
        return t_interval(accuracies(self.trained)) if self.std else None

    @cached_property
    def mean_all(self) -> float | None:
        """Mean final test accuracy of all completed runs, those at chance too."""
        return mean(accuracies(self.completed))

    @cached_property
    def collapse_rate(self) -> Interval | None:
        """The share of completed runs that ended at chance, with Wilson's 95 % interval; None where none completed."""
        return wilson_interval(len(self.collapsed), len(self.completed)) if self.completed else None

    @property
    def failed(self) -> int:
        """Runs that ended in an error."""
        return self._count(FAILED)

    @property
    def diverged(self) -> int:
        """Runs whose loss stopped being finite."""
        return self._count(DIVERGED)

    @property
    def interrupted(self) -> int:
        """Runs that were stopped and not yet finished."""
        return self._count(INTERRUPTED)

    def average(self, column: str) -> float | None:
        """Mean of another column of the record over all completed runs, collapsed or not."""
        values = [getattr(trial, column) for trial in self.completed]
        return mean([value for value in values if value is not None])

    def _count(self, status: str) -> int:
        return sum(trial.status == status for trial in self.trials)


def accuracies(trials: Iterable[TrialRecord]) -> list[float]:
    """Final test accuracies, as fractions."""
    return [trial.test_accuracy for trial in trials if trial.test_accuracy is not None]


def in_cells(trials: Iterable[TrialRecord]) -> list[Cell]:
    """The trials of one panel by method (in order, dense and controls first), then by sparsity."""
    groups: dict[tuple[str, float], list[TrialRecord]] = {}
    for trial in trials:
        groups.setdefault((trial.method_label, trial.sparsity), []).append(trial)
    keys = sorted(groups, key=lambda key: (method_order(key[0]), key[1]))
    return [Cell(groups[key][0].method, *key, tuple(groups[key])) for key in keys]


def best(column: Iterable[Cell]) -> list[Cell]:
    """Of methods at one sparsity, that with the highest mean (all of them, if tied).

    A method with a run that collapsed or diverged is excluded: a high mean of its other runs would reward luck. So is
    the dense network.
    """
    eligible = [c for c in column if c.n and not c.collapsed and not c.diverged and c.method != "dense"]
    top = max((c.mean for c in eligible if c.mean is not None), default=None)
    return [c for c in eligible if c.mean == top]


def grouped(cells: Iterable[Cell], key: Callable[[Cell], K]) -> dict[K, list[Cell]]:
    """The cells of methods that remove something, by a key, in order; one pass, however many keys there are."""
    groups: dict[K, list[Cell]] = {}
    for cell in cells:
        if cell.method != "dense":
            groups.setdefault(key(cell), []).append(cell)
    return groups


def by_label(cells: Iterable[Cell]) -> dict[str, list[Cell]]:
    """Every method's cells, methods in order."""
    return grouped(cells, lambda cell: cell.method_label)


def by_sparsity(cells: Iterable[Cell]) -> dict[float, list[Cell]]:
    """The cells of every sparsity, sparsities rising."""
    return dict(sorted(grouped(cells, lambda cell: cell.sparsity).items()))


def sparsities(cells: Iterable[Cell]) -> list[float]:
    """The columns: every sparsity of a method that removes something."""
    return sorted({cell.sparsity for cell in cells if cell.method != "dense"})


def labels(cells: Iterable[Cell]) -> list[str]:
    """The rows: every method but dense, in order."""
    return list(dict.fromkeys(cell.method_label for cell in cells if cell.method != "dense"))


def at(cells: Iterable[Cell], sparsity: float) -> list[Cell]:
    """The cells of one sparsity."""
    return [cell for cell in cells if cell.sparsity == sparsity and cell.method != "dense"]


def leaders(cells: Sequence[Cell]) -> list[Cell]:
    """The best cells of every sparsity."""
    return [cell for column in by_sparsity(cells).values() for cell in best(column)]


@dataclass(frozen=True)
class PairedDifference:
    """Accuracy of one method minus that of another, seed by seed: same initial weights, same batches.

    Attributes:
        differences: one a seed where both trained, as fractions, in order of seed.
        at_chance: one a seed where one of the two collapsed: whether the first did, and the second.
        with_chance: the differences of all these seeds: where both trained, and where one collapsed.
        unlike: seeds where the two started from different initial weights, which are no pair.
        in_pieces: seeds of ``differences`` where the two split their batches differently.
    """

    differences: tuple[float, ...]
    at_chance: tuple[tuple[bool, bool], ...] = ()
    unlike: int = 0
    in_pieces: int = 0
    with_chance: tuple[float, ...] = ()

    @property
    def left_out(self) -> int:
        """Seeds where one of the two collapsed."""
        return len(self.at_chance)

    @property
    def mean(self) -> float | None:
        """Mean difference."""
        return mean(self.differences)

    @property
    def std(self) -> float | None:
        """Sample standard deviation of the differences."""
        return spread(self.differences)


def paired(cell: Cell, reference: Cell) -> PairedDifference:
    """``cell`` minus ``reference``, over the seeds that both completed, from the same initial weights."""
    ours, theirs = ({t.seed: t for t in c.completed} for c in (cell, reference))
    differences, at_chance, with_chance, unlike, in_pieces = [], [], [], 0, 0
    for seed in sorted(ours.keys() & theirs.keys()):
        pair = (ours[seed], theirs[seed])
        if not same_start(pair[0].initial_weights_hash, pair[1].initial_weights_hash):
            unlike += 1
            continue
        first, second = accuracies(pair)
        with_chance.append(first - second)
        if any(is_collapsed(trial) for trial in pair):
            at_chance.append((is_collapsed(pair[0]), is_collapsed(pair[1])))
        else:
            differences.append(first - second)
            in_pieces += (pair[0].accumulate or 1) != (pair[1].accumulate or 1)
    return PairedDifference(tuple(differences), tuple(at_chance), unlike, in_pieces, tuple(with_chance))


def same_start(one: str | None, other: str | None) -> bool:
    """Whether two hashes of initial weights are equal; true where a record has none."""
    return one is None or other is None or one == other
