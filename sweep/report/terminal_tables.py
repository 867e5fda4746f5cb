"""Which tables of a report a terminal shows; ``summary.md`` has all."""

from collections.abc import Iterator

from sweep.report.analysis import Analysis
from sweep.report.comparison_tables import differences_table, sanity_table
from sweep.report.overview_tables import aggregate_table, thresholds_table
from sweep.report.table import Table
from sweep.report.tables import accuracy_table, interval_table


def terminal_tables(analysis: Analysis) -> Iterator[Table]:
    """Of each panel accuracies, intervals, differences, thresholds and sanity checks; then methods over all panels."""
    for one in analysis.panels:
        yield accuracy_table(one.panel, one.comparisons)
        others = (
            interval_table(one.panel),
            differences_table(one.comparisons),
            thresholds_table(one.panel, one.thresholds),
            sanity_table(one.comparisons),
        )
        yield from (table for table in others if table.rows)
    if analysis.aggregate is not None:
        yield aggregate_table(analysis.aggregate)
