"""``macros.tex``: one macro a number, named by panel, method and sparsity."""

from collections.abc import Iterator, Mapping, Sequence

from sweep.report.analysis import Analysis, PanelAnalysis
from sweep.report.cells import Cell
from sweep.report.comparison import Comparison
from sweep.report.latex.text import definition, key, latex, unique_keys
from sweep.report.number_text import p_value, points, points_interval, probability, sparsity_bound
from sweep.statistics import Crossing, MedianSurvival
from sweep.text import number

ACCURACY = {  # command -> what it gives
    "mean": "mean test accuracy in percent of the runs that trained",
    "std": "their sample standard deviation",
    "interval": "95 % t-interval of the mean",
    "n": "number of these runs",
    "chance": "completed runs that ended at chance, and all completed runs",
    "meanall": "mean of all completed runs, those at chance too",
}
DIFFERENCE = {
    "diff": "mean difference in percentage points, first minus second method, paired by seed",
    "diffinterval": "its 95 % t-interval",
    "diffn": "number of pairs",
    "diffp": "p of the paired t-test by Holm's correction over all pairs of methods of the panel",
    "diffabove": "P(first above second) with its 95 % interval",
}
THRESHOLDS = {
    "onepoint": "sparsity where the method falls more than 1 point under dense",
    "fivepoints": "more than 5 points under dense",
    "meetsrandom": "beyond which it is nowhere above random masks",
    "collapse": "largest sparsity at which more than half of its runs train",
}
HEAD = r"""% Numbers of a report, written by: sweep report --latex
% In the preamble:  \input{macros.tex}
"""
COMMANDS = r"""\makeatletter
\providecommand{\sweep@lookup}[1]{\ifcsname sweep/#1\endcsname\csname sweep/#1\endcsname\else
  \PackageError{sweep}{There is no "#1"}{Its names are in macros.tex and tables.tex.}\textbf{??}\fi}
"""


def macros(analysis: Analysis, stems: Sequence[str]) -> str:
    """All numbers as one file that defines ``\\sweepmean{cifar10-resnet20}{force}{0.99}`` and the like.

    Args:
        analysis: of the report.
        stems: a file name for each panel, which no other panel has.
    """
    parts = [HEAD, *_usage(), COMMANDS, *_commands(), "\\makeatother\n"]
    for one, stem in zip(analysis.panels, stems, strict=True):
        parts.append(f"\n% {key(stem)}\n")
        parts += [f"{definition(name, latex(text))}\n" for name, text in panel_numbers(one, key(stem)).items()]
    return "".join(parts)


def panel_numbers(one: PanelAnalysis, panel: str) -> dict[str, str]:
    """Name -> text of every known number of a panel: ``cifar10-resnet20/force/0.99/mean`` -> ``85.75``."""
    keys = unique_keys(cell.method_label for cell in one.panel.cells)
    numbers: dict[str, str] = {}
    for cell in one.panel.cells:
        where = f"{panel}/{keys[cell.method_label]}/{number(cell.sparsity)}"
        numbers |= {f"{where}/{name}": text for name, text in _accuracy(cell).items()}
    for comparison in one.comparisons.all_pairs:
        for turned in (comparison, comparison.reversed()):
            where = f"{panel}/{keys[turned.method_a]}/{keys[turned.method_b]}/{number(turned.sparsity)}"
            numbers |= {f"{where}/{name}": text for name, text in _difference(turned).items()}
    for row in one.thresholds:
        found = (row.one_point, row.five_points, row.meets_random, row.collapse)
        for name, place in zip(THRESHOLDS, found, strict=True):
            if place is not None:
                numbers |= _threshold(f"{panel}/{keys[row.method_label]}/{name}", place)
    return numbers


def _accuracy(cell: Cell) -> Mapping[str, str]:
    interval = cell.interval
    known = {
        "mean": cell.mean is not None and points(cell.mean),
        "std": cell.std is not None and points(cell.std),
        "interval": interval and points_interval(interval.low, interval.high),
        "n": str(cell.n),
        "chance": f"{len(cell.collapsed)} of {len(cell.completed)}",
        "meanall": cell.mean_all is not None and points(cell.mean_all),
    }
    return {name: text for name, text in known.items() if text}


def _difference(one: Comparison) -> Mapping[str, str]:
    known = {
        "diff": one.mean is not None and points(one.mean, sign=True),
        "diffinterval": one.low is not None and points_interval(one.low, one.high, sign=True),
        "diffn": str(one.n),
        "diffp": one.p_holm is not None and p_value(one.p_holm),
        "diffabove": one.probability and probability(one.probability),
    }
    return {name: text for name, text in known.items() if text}


def _threshold(name: str, found: Crossing | MedianSurvival) -> Mapping[str, str]:
    numbers = {name: sparsity_bound(found.estimate)}
    if found.low is not None:
        numbers[f"{name}interval"] = f"[{sparsity_bound(found.low)}, {sparsity_bound(found.high)}]"
    return numbers


def _usage() -> Iterator[str]:
    yield "% In the text:\n"
    for meanings, arguments in _GROUPS:
        for name, meaning in meanings.items():
            yield f"%   \\sweep{name}{arguments}: {meaning}\n"
    yield "%   \\sweeponepointinterval{PANEL}{METHOD} and the like: its 95 % interval\n"


def _commands() -> Iterator[str]:
    for meanings, arguments in _GROUPS:
        count = arguments.count("{")
        path = "/".join(f"#{place}" for place in range(1, count + 1))
        names = [*meanings, *(f"{name}interval" for name in meanings if meanings is THRESHOLDS)]
        for name in names:
            yield rf"\newcommand{{\sweep{name}}}[{count}]{{\sweep@lookup{{{path}/{name}}}}}" + "\n"


_GROUPS = (
    (ACCURACY, "{PANEL}{METHOD}{SPARSITY}"),
    (DIFFERENCE, "{PANEL}{FIRST}{SECOND}{SPARSITY}"),
    (THRESHOLDS, "{PANEL}{METHOD}"),
)
