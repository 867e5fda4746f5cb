"""``tables.tex``: every table of a report as a booktabs tabular."""

from collections.abc import Iterable, Iterator, Sequence

from sweep.report.analysis import Analysis
from sweep.report.latex.text import definition, key, latex
from sweep.report.overview_tables import aggregate_table
from sweep.report.summary import panel_tables
from sweep.report.table import Table

HEAD = r"""% Tables of a report, written by: sweep report --latex
% In the preamble:  \usepackage{booktabs}  \input{tables.tex}
% In the text:      \sweeptable{NAME}  and, in \caption, \sweepcaption{NAME}
\makeatletter
\providecommand{\sweep@lookup}[1]{\ifcsname sweep/#1\endcsname\csname sweep/#1\endcsname\else
  \PackageError{sweep}{There is no "#1"}{Its names are in macros.tex and tables.tex.}\textbf{??}\fi}
\newcommand{\sweeptable}[1]{\sweep@lookup{#1/table}}
\newcommand{\sweepcaption}[1]{\sweep@lookup{#1/caption}}
\makeatother
"""


def tables(analysis: Analysis, stems: Sequence[str]) -> str:
    """All tables as one file that defines ``\\sweeptable{accuracy/cifar10-resnet20}`` and its caption.

    Args:
        analysis: of the report.
        stems: a file name for each panel, which no other panel has.
    """
    return "\n".join([HEAD, *(_defined(name, table) for name, table in named_tables(analysis, stems))]) + "\n"


def named_tables(analysis: Analysis, stems: Sequence[str]) -> Iterator[tuple[str, Table]]:
    """Each table with rows, and its name in LaTeX."""
    for one, stem in zip(analysis.panels, stems, strict=True):
        for _, table in panel_tables(one):
            if table.rows:
                yield f"{table.name}/{key(stem)}", table
    if analysis.aggregate is not None:
        yield "over-cells", aggregate_table(analysis.aggregate)


def tabular(table: Table) -> str:
    """The rows under their header, best entries bold; title, caption and notes are left to the paper."""
    columns = "l" * table.texts + "r" * (len(table.header) - table.texts)
    lines = [
        rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
        r"\toprule",
        _row(map(latex, table.header)),
        r"\midrule",
        *(_row(rf"\textbf{{{latex(e.text)}}}" if e.best else latex(e.text) for e in row) for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "%\n".join(lines)


def _defined(name: str, table: Table) -> str:
    caption = " ".join([f"{table.title}.", table.caption, *table.notes])
    head = f"\n% {name}: {table.title}".encode("ascii", "replace").decode()
    return "\n".join(
        [head, definition(f"{name}/table", f"%\n{tabular(table)}"), definition(f"{name}/caption", latex(caption))]
    )


def _row(entries: Iterable[str]) -> str:
    # an entry that begins with [ would be an argument of the \\ before it
    cells = " & ".join(f"{{}}{entry}" if entry.startswith(("[", "*")) else entry for entry in entries)
    return rf"{cells} \\"
