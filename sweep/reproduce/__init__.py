"""Compares published numbers and claims with our own runs.

    reproduction = read(find("digits_figure1"))
    verdicts = judge(reproduction, Store("results"))
    write(reproduction, verdicts, Path("verdict"))

Published numbers and claims are in ``configs/published``.

published.py      their tables, read and checked
reproduction.py   a sweep with its published numbers and claims
sample.py         our runs of one cell
verdict.py        pass, fail, undecided or missing, for each number and claim
tables.py         verdicts as tables and as plain rows
verdict_files.py  verdict.csv, verdict.md and figures
"""

from sweep.reproduce.reproduction import Reproduction, find, names, read, summarise
from sweep.reproduce.tables import tables, tally, verdict_rows
from sweep.reproduce.verdict import JudgedRow, Verdict, judge
from sweep.reproduce.verdict_files import VerdictFiles, write

__all__ = [
    "JudgedRow",
    "Reproduction",
    "Verdict",
    "VerdictFiles",
    "find",
    "judge",
    "names",
    "read",
    "summarise",
    "tables",
    "tally",
    "verdict_rows",
    "write",
]
