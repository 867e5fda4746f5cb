"""The report: tables, statistics and figures, all pure functions of the store's tables.

    write_report([Store("results")], Path("report"))        # PNG, SVG, CSV, Markdown
    best_cells(summary_rows(store.trials()))                # the best method at every sparsity

Cheap to import: matplotlib is loaded by the first figure, torch never.
"""

from sweep.report.csv_rows import best_cells, summary_rows
from sweep.report.folder import report_folder
from sweep.report.report import ReportFiles, write_report
from sweep.report.tables import Table, accuracy_table
from sweep.report.trials import Panel, from_table, panels

__all__ = [
    "Panel",
    "ReportFiles",
    "Table",
    "accuracy_table",
    "best_cells",
    "from_table",
    "panels",
    "report_folder",
    "summary_rows",
    "write_report",
]
