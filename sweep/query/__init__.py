"""The records of stores for analysis: as Arrow tables, and in SQL.

views.py     the tables and their columns, each with type and meaning: docs/tables.md
tables.py    load: the tables of one or several stores, each read when it is first used
computed.py  the columns that no record has
sql.py       run: one SELECT over them, in DuckDB that reaches no file
formats.py   its rows as aligned text, CSV, JSON, Parquet, Markdown, LaTeX

    tables = sweep.load("results", sweep="digits")
    tables.trials.to_pandas()
    tables.sql("select method_name, avg(test_accuracy) from trials group by all")
"""

from sweep.query.tables import Tables, load
from sweep.query.views import VIEWS, View

__all__ = ["VIEWS", "Tables", "View", "load"]
