"""Verdicts on published numbers and claims, from the runs that a store has."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from sweep.config.grid import expand, trial_id
from sweep.report.cells import same_start
from sweep.report.names import architecture_name, data_name
from sweep.report.trials import Panel, among, from_table, panels
from sweep.reproduce.published import ABOVE, FAIL, PASS, Claim, Number
from sweep.reproduce.reproduction import Reproduction
from sweep.reproduce.sample import Sample, sample
from sweep.statistics import Interval, t_interval
from sweep.store import Store

UNDECIDED, MISSING = "undecided", "missing"
VERDICTS = (PASS, FAIL, UNDECIDED, MISSING)
Samples = Mapping[tuple[str, float], Sample]  # by method and sparsity


@dataclass(frozen=True)
class JudgedRow:
    """One published number or claim with its verdict. Accuracies in per cent, differences in percentage points.

    Attributes:
        published: the row of the table.
        ours: our runs of that cell.
        reference: of a claim: our runs of the reference method.
        difference: ours − published; of a claim the mean of method − reference over seeds, with its interval.
        remark: why it is undecided, or which runs were left out.
    """

    published: Number | Claim
    ours: Sample
    verdict: str
    reference: Sample | None = None
    difference: float | None = None
    interval: Interval | None = None
    remark: str = ""

    @property
    def known(self) -> str:
        """The reason of an expected failure; empty for any other verdict."""
        claim = self.published
        return claim.reason if isinstance(claim, Claim) and claim.expected == self.verdict == FAIL else ""

    @property
    def in_order(self) -> bool:
        """Whether it passed, or failed as expected."""
        return self.verdict == PASS or bool(self.known)


@dataclass(frozen=True)
class Verdict:
    """The rows of one network on one copy of the data.

    Attributes:
        title: ``CIFAR-10 (JPEG), VGG-16``.
        panel: its trials, as the report draws them; None where there are none.
    """

    title: str
    panel: Panel | None
    rows: tuple[JudgedRow, ...]

    @property
    def in_order(self) -> bool:
        """Whether every row is."""
        return all(row.in_order for row in self.rows)


def judge(reproduction: Reproduction, store: Store) -> list[Verdict]:
    """Judge every row by the stored trials of exactly this grid, whichever sweep ran them first.

    Trials on exact images and on a lossy copy of them are judged separately.
    """
    sweep = reproduction.sweep
    trials = expand(sweep)
    requested: dict[str, Counter[tuple[str, float]]] = defaultdict(Counter)  # runs by architecture and cell
    for trial in trials:
        requested[trial.architecture.label][trial.method_label, trial.sparsity] += 1
    all_panels = panels(from_table(among(store.trials(), map(trial_id, trials)), rounds=False))
    verdicts = []
    for architecture in dict.fromkeys(row.architecture for row in reproduction.rows):
        of_network: list[Panel | None] = [panel for panel in all_panels if panel.architecture == architecture]
        absent = f"{data_name(sweep.data.name, None)}, {architecture_name(architecture)}"
        for panel in of_network or [None]:
            samples = _samples(requested[architecture], panel)
            rows = tuple(_row(row, samples) for row in reproduction.rows if row.architecture == architecture)
            verdicts.append(Verdict(panel.title if panel else absent, panel, rows))
    return verdicts


def _row(row: Number | Claim, samples: Samples) -> JudgedRow:
    ours = samples[row.method, row.sparsity]
    return (
        number_row(row, ours) if isinstance(row, Number) else claim_row(row, ours, samples[row.reference, row.sparsity])
    )


def _samples(requested: Mapping[tuple[str, float], int], panel: Panel | None) -> Samples:
    """A sample of every cell of the grid; ``requested``: the number of its runs."""
    cells = {cell.key: cell for cell in (panel.cells if panel else ())}
    return {key: sample(cells.get(key), runs) for key, runs in requested.items()}


def number_row(number: Number, ours: Sample) -> JudgedRow:
    """A number passes within its tolerance; a published collapse, if every run of ours is at chance."""
    if ours.mean is None:
        return JudgedRow(number, ours, MISSING)
    difference = ours.mean - number.value
    if number.tolerance is None:
        return JudgedRow(number, ours, PASS if ours.collapsed else FAIL, difference=difference)
    return JudgedRow(
        number, ours, PASS if round(abs(difference), 6) <= number.tolerance else FAIL, difference=difference
    )


def claim_row(claim: Claim, ours: Sample, reference: Sample) -> JudgedRow:
    """A claim is decided if the whole 95 % t-interval of the paired difference is on one side of zero."""
    if not ours.n or not reference.n:
        return JudgedRow(claim, ours, MISSING, reference)
    common = sorted(ours.accuracies.keys() & reference.accuracies.keys())
    seeds = [seed for seed in common if same_start(ours.initial_weights.get(seed), reference.initial_weights.get(seed))]
    unlike = f"seeds of other initial weights left out: {len(common) - len(seeds)}" if len(seeds) < len(common) else ""
    if len(seeds) < 2:
        remark = f"fewer than two seeds in common{', ' * bool(unlike)}{unlike}"
        return JudgedRow(claim, ours, UNDECIDED, reference, remark=remark)
    differences = [ours.accuracies[seed] - reference.accuracies[seed] for seed in seeds]
    interval = t_interval(differences)
    verdict, remark = _side(claim.relation, interval), unlike
    if ours.at_chance.issuperset(seeds) and reference.at_chance.issuperset(seeds):
        verdict, remark = UNDECIDED, f"both at chance{', ' * bool(unlike)}{unlike}"
    return JudgedRow(claim, ours, verdict, reference, interval.estimate, interval, remark)


def _side(relation: str, interval: Interval) -> str:
    low, high = (interval.low, interval.high) if relation == ABOVE else (-interval.high, -interval.low)
    return PASS if low > 0 else FAIL if high < 0 else UNDECIDED
