"""The runs of one cell as a sample: all completed runs, those at chance too."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean, stdev

from sweep.report.cells import Cell


@dataclass(frozen=True)
class Sample:
    """Final test accuracies by seed, in per cent.

    Unlike in the report's tables, runs at chance are averaged with the others: published means include all runs, and a
    method must not win a claim because its collapsed runs are left out.

    Attributes:
        at_chance: seeds whose run ended at chance.
        unfinished: number of the grid's runs without an accuracy, by status.
        initial_weights: hashes by seed; None where a record has none.
        in_pieces: runs that split their batches for lack of memory.
        in_conflict: runs of which other results are kept, too.
    """

    accuracies: Mapping[int, float] = field(default_factory=dict)
    at_chance: frozenset[int] = frozenset()
    unfinished: Mapping[str, int] = field(default_factory=dict)
    initial_weights: Mapping[int, str | None] = field(default_factory=dict)
    in_pieces: int = 0
    in_conflict: int = 0

    @property
    def n(self) -> int:
        """Completed runs."""
        return len(self.accuracies)

    @property
    def mean(self) -> float | None:
        """Their mean; None where there are none."""
        return fmean(self.accuracies.values()) if self.accuracies else None

    @property
    def std(self) -> float | None:
        """Their sample standard deviation; None of fewer than two runs."""
        return stdev(self.accuracies.values()) if self.n > 1 else None

    @property
    def collapsed(self) -> bool:
        """Whether every run ended at chance."""
        return bool(self.accuracies) and set(self.accuracies) == self.at_chance

    def text(self) -> str:
        """``62.22 ± 17.96 (4), 1 at chance, 1 missing``."""
        if self.mean is None:
            return ", ".join(self._asides()) or "–"
        return ", ".join([mean_text(self.mean, self.std, self.n), *self._asides()])

    def _asides(self) -> list[str]:
        counts = {"in pieces": self.in_pieces, "in conflict": self.in_conflict, **self.unfinished}
        asides = [f"{count} {status}" for status, count in counts.items() if count]
        if not self.at_chance:
            return asides
        return ["all at chance" if self.collapsed else f"{len(self.at_chance)} at chance", *asides]


def sample(cell: Cell | None, requested: int) -> Sample:
    """The sample of a cell of the report, of which the grid has ``requested`` runs."""
    if cell is None:
        return Sample(unfinished={"missing": requested})
    unfinished = {"diverged": cell.diverged, "failed": cell.failed, "interrupted": cell.interrupted}
    missing = requested - len(cell.completed) - sum(unfinished.values())
    return Sample(
        {trial.seed: 100 * trial.test_accuracy for trial in cell.completed if trial.test_accuracy is not None},
        frozenset(trial.seed for trial in cell.collapsed),
        {**unfinished, "missing": missing},
        {trial.seed: trial.initial_weights_hash for trial in cell.completed},
        len(cell.in_pieces),
        len(cell.in_conflict),
    )


def mean_text(mean: float, std: float | None, n: int | None) -> str:
    """``89.15 ± 0.50 (3)``; unknown parts are left out."""
    spread = "" if std is None else f" ± {std:.2f}"
    return f"{mean:.2f}{spread}" + ("" if n is None else f" ({n})")
