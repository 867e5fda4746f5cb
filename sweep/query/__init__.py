"""The records of stores for analysis: as Arrow tables, and in SQL.

views.py     the tables and their columns, each with type and meaning: docs/tables.md
tables.py    load: the tables of one or several stores, each read when it is first used

    tables = sweep.load("results", sweep="digits")
    tables.trials.to_pandas()
"""

from sweep.query.tables import Tables, load
from sweep.query.views import VIEWS, View

__all__ = ["VIEWS", "Tables", "View", "load"]
