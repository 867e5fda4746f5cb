"""LaTeX for a paper: ``tables.tex`` and ``macros.tex``, which define what ``docs/latex.md`` describes.

text.py     text as LaTeX, and keys: what a table or number is called
tables.py   tables as booktabs
macros.py   one macro a number

A paper reads both files in its preamble. When the sweep goes on and the report is written again, the paper's numbers
follow. Compiles with pdfLaTeX, XeLaTeX and LuaLaTeX; needs the package booktabs.
"""

from sweep.report.latex.macros import macros
from sweep.report.latex.tables import tables

__all__ = ["macros", "tables"]
