"""The runs of one cell as a sample: every completed run in, whatever it came to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean, stdev

from sweep.report.statistics import Cell


@dataclass(frozen=True)
class Sample:
    """Final test accuracies by seed, in per cent.

    Unlike in the report's tables a run at chance is averaged with the others: a published mean has all of its runs in,
    and a claim that left some out could be won by collapsing.

    Attributes:
        at_chance: seeds whose run did not train.
        lost: how many of the grid's runs have no accuracy, by what became of them.
        starts: hashes of the initial weights by seed, where they are known.
        in_pieces: runs whose batches were taken in pieces, for lack of memory.
    """

    accuracies: Mapping[int, float] = field(default_factory=dict)
    at_chance: frozenset[int] = frozenset()
    lost: Mapping[str, int] = field(default_factory=dict)
    starts: Mapping[int, str | None] = field(default_factory=dict)
    in_pieces: int = 0

    @property
    def n(self) -> int:
        """Completed runs."""
        return len(self.accuracies)

    @property
    def mean(self) -> float | None:
        """Their mean; None of nothing."""
        return fmean(self.accuracies.values()) if self.accuracies else None

    @property
    def std(self) -> float | None:
        """Their sample standard deviation; one run has none."""
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
        lost = [f"{count} {what}" for what, count in {"in pieces": self.in_pieces, **self.lost}.items() if count]
        if not self.at_chance:
            return lost
        return ["all at chance" if self.collapsed else f"{len(self.at_chance)} at chance", *lost]


def sample(cell: Cell | None, asked: int) -> Sample:
    """The sample of a cell of the report, of which the grid asks for so many runs."""
    if cell is None:
        return Sample(lost={"missing": asked})
    known = {"diverged": cell.diverged, "failed": cell.failed, "interrupted": cell.interrupted}
    missing = asked - len(cell.completed) - sum(known.values())
    return Sample(
        {trial.seed: 100 * trial.test_accuracy for trial in cell.completed if trial.test_accuracy is not None},
        frozenset(trial.seed for trial in cell.collapsed),
        {**known, "missing": missing},
        {trial.seed: trial.initial_weights_hash for trial in cell.completed},
        len(cell.in_pieces),
    )


def mean_text(mean: float, std: float | None, n: int | None) -> str:
    """``89.15 ± 0.50 (3)``, without what is not known."""
    spread = "" if std is None else f" ± {std:.2f}"
    return f"{mean:.2f}{spread}" + ("" if n is None else f" ({n})")
