"""docs/tables.md, written from the tables of ``sweep.load`` and ``sweep query``."""

from sweep.cli.print.markdown import sentence, table
from sweep.query import VIEWS

HEAD = """\
# The tables of a store

Written by `make docs` from the docstrings in [`sweep/records.py`](../sweep/records.py) and from
[`sweep/query/views.py`](../sweep/query/views.py); a test compares.

They are the attributes of `sweep.load("results")`, as Arrow tables, and the views of `sweep query`, in SQL. How to use
them: [analysis.md](analysis.md). What words mean: [words.md](words.md). Accuracies and sparsities are fractions, times
are seconds, sizes are bytes. A value that was not measured is null.

Tables are joined by `trial_id`. A trial may belong to several sweeps: it has one row, with their names in `sweeps`.
"""


def page() -> str:
    """The whole page, in Markdown."""
    parts = [HEAD]
    for view in VIEWS.values():
        rows = [(f"`{column.name}`", column.sql_type, sentence(column.meaning)) for column in view.columns]
        parts += [f"## {view.name}\n", f"One row is {view.rows}.\n", table(("column", "type", "meaning"), rows)]
    return "\n".join(parts)
