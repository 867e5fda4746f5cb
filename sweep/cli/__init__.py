"""The command line. Each command parses, calls one function and prints; heavy imports wait until they are needed.

root.py         the command `sweep` itself
run.py          launch, plan, retry, reproduce
stop.py         stop, cancel
report.py       report
query.py        query
view.py         status, failures, methods, architectures, ui, completion
trials.py       trial show, trial run, trial rerun
export.py       export, masks
maintain.py     verify, compact, merge, sync
common.py       what commands share: options, errors, examples
print/          what commands print
"""

from sweep.cli import export, maintain, query, report, run, stop, trials, view
from sweep.cli.root import main

__all__ = ["export", "main", "maintain", "query", "report", "run", "stop", "trials", "view"]
