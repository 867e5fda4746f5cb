"""docs/report-columns.md, written from the columns of the report."""

from collections.abc import Iterable, Sequence

from sweep.cli.print.markdown import table
from sweep.report.columns import AVERAGED, COST, END, MOVED, NOT_WORSE, START, SUMMARY, Column
from sweep.report.statistics_rows import COMPARISONS, OVER_CELLS, THRESHOLDS

HEAD = """\
# The columns of a report

Written by `make docs` from [`sweep/report/columns.py`](../sweep/report/columns.py); a test compares. A row is one
method at one sparsity, on one data set, network and recipe. What words mean: [words.md](words.md).
"""
AVERAGES = """\
All other columns are means over all completed runs of the record's field of that name
([`TrialRecord`](../sweep/records.py)); of a field that is true or false, the fraction of runs where it is true:
"""
STATISTICS = """\
The other CSV files have the statistics, one row a comparison of two methods, a method of a panel, or a method beside
another. Accuracies, sparsities and probabilities are fractions; the formulas are in
[`sweep/statistics/`](../sweep/statistics).
"""
FILES = {"comparisons.csv": COMPARISONS, "thresholds.csv": THRESHOLDS, "over_cells.csv": OVER_CELLS}
TABLES = {  # heading in summary.md -> columns
    "Masks": START,
    "After training": (*MOVED, *END),
    "Cost": COST,
}


def page() -> str:
    """The whole page, in Markdown."""
    own = [(column.name, column.meaning) for column in SUMMARY if column.name not in AVERAGED]
    own.insert([name for name, _ in own].index("best") + 1, NOT_WORSE)
    averaged = ", ".join(f"`{name}`" for name in AVERAGED)
    parts = [HEAD, "## summary.csv\n", "Accuracies and sparsities are fractions.\n", _named(own), AVERAGES]
    parts += [f"{averaged}.\n", STATISTICS]
    for file, meanings in FILES.items():
        parts += [f"## {file}\n", _named(meanings.items())]
    parts += ["## summary.md\n", "Means over completed runs; a column without values is left out.\n"]
    for heading, columns in TABLES.items():
        parts += [f"### {heading}\n", _table(columns)]
    return "\n".join(parts)


def _table(columns: Sequence[Column]) -> str:
    return _named((column.name, column.meaning) for column in columns)


def _named(columns: Iterable[tuple[str, str]]) -> str:
    return table(("column", "meaning"), ((f"`{name}`", meaning) for name, meaning in columns))
