"""docs/report-columns.md, written from the columns of the report."""

from collections.abc import Sequence

from sweep.cli.print.markdown import table
from sweep.report.columns import AVERAGED, COST, END, MOVED, START, SUMMARY, Column

HEAD = """\
# The columns of a report

Written by `make docs` from [`sweep/report/columns.py`](../sweep/report/columns.py); a test compares. A row is one
method at one sparsity, on one data set, network and recipe. What words mean: [words.md](words.md).
"""
AVERAGES = """\
All other columns are means over all completed runs of the record's field of that name
([`TrialRecord`](../sweep/records.py)); of a field that is true or false, the fraction of runs where it is true:
"""
TABLES = {  # heading in summary.md -> columns
    "Masks": START,
    "After training": (*MOVED, *END),
    "Price": COST,
}


def page() -> str:
    """The whole page, in Markdown."""
    own = [column for column in SUMMARY if column.name not in AVERAGED]
    averaged = ", ".join(f"`{name}`" for name in AVERAGED)
    parts = [HEAD, "## summary.csv\n", "Accuracies and sparsities are fractions.\n", _table(own), AVERAGES]
    parts += [f"{averaged}.\n", "## summary.md\n", "Means over completed runs; a column without values is left out.\n"]
    for heading, columns in TABLES.items():
        parts += [f"### {heading}\n", _table(columns)]
    return "\n".join(parts)


def _table(columns: Sequence[Column]) -> str:
    return table(("column", "meaning"), ((f"`{column.name}`", column.meaning) for column in columns))
