"""Published numbers and claims against our own runs.

    reproduction = read(find("digits_figure1"))
    verdicts = judge(reproduction, Store("results"))
    write(reproduction, verdicts, Path("verdict"))

What was published lies in ``configs/published`` (:mod:`sweep.reproduce.published`).
"""

from sweep.reproduce.files import VerdictFiles, write
from sweep.reproduce.shipped import Reproduction, find, names, read, summarise
from sweep.reproduce.tables import flat, tables, tally
from sweep.reproduce.verdict import Row, Verdict, judge

__all__ = [
    "Reproduction",
    "Row",
    "Verdict",
    "VerdictFiles",
    "find",
    "flat",
    "judge",
    "names",
    "read",
    "summarise",
    "tables",
    "tally",
    "write",
]
