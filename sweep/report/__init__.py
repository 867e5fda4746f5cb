"""The report: cells, comparisons, tables and figures, all pure functions of the store's tables.

conflict_text.py   what differs between several results of a trial
trials.py       trials read from stores, each once, in panels of comparable ones
reported_trial.py  a trial of which other results are kept, too
cells.py        cells (one method at one sparsity), chance, pairs of runs of one seed
comparison.py   one comparison of two methods: difference, tests, equivalence, seeds needed
comparisons.py  all comparisons of a panel, corrected for their number; which methods are not worse than the best
thresholds.py   the sparsities where a method falls under dense, meets random and collapses
aggregates.py   methods over all cells: interquartile mean, probability of improvement, ranks
analysis.py     all of these for the panels of a report
names.py        what tables, figures and files call data, networks and methods
columns.py      every column of summary.csv and of the tables: a new column goes here
table.py        a table for people; number_text.py: the numbers in it; terminal.py prints it
tables.py       accuracy, intervals, masks, cost
comparison_tables.py, overview_tables.py  comparisons; methods over sparsities and cells
terminal_tables.py  those that a terminal shows
csv_rows.py     summary.csv and trials.csv; statistics_rows.py: the other CSV files
latex_text.py   text as LaTeX sets it
latex/          tables and numbers for a paper
figures/        one module a figure, listed in its __init__: a new figure goes there
summary.py      summary.md; plan_sentences.py: how far the plan was off
page/           report.html: all of it on one page
record_page.py  one trial for people
display_names.py  the label: that a sweep gives architectures and methods
options.py      which methods and sparsities are drawn, and how: an option of `sweep report` is a field here
report.py       write_report; folder.py is where it writes
progress.py     how many trials completed, run, failed or are missing, over all stores
new_outcomes.py waits for outcomes of running trials, so that --watch can report them

    write_report([Store("results")], Path("report"))        # PNG, SVG, CSV, Markdown
    best_cells(summary_rows(store.trials()))                # the best method at every sparsity

Cheap to import: matplotlib is loaded by the first figure, torch by the first method name.
"""

from sweep.report.analysis import Analysis, analyse
from sweep.report.csv_rows import best_cells, summary_rows
from sweep.report.folder import report_folder
from sweep.report.options import ReportOptions
from sweep.report.report import ReportFiles, write_report
from sweep.report.table import Table
from sweep.report.tables import accuracy_table
from sweep.report.trials import Panel, from_table, panels

__all__ = [
    "Analysis",
    "Panel",
    "ReportFiles",
    "ReportOptions",
    "Table",
    "accuracy_table",
    "analyse",
    "best_cells",
    "from_table",
    "panels",
    "report_folder",
    "summary_rows",
    "write_report",
]
