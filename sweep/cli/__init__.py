"""The command line. Each body parses, calls one function and prints; heavy imports wait until they are needed.

root.py         the command itself, and the order of its commands
common.py       what commands share: options, errors, examples
launching.py    launch, plan, retry, reproduce
looking.py      status, failures, report, methods, architectures, ui
trials.py       trial show, trial run, trial rerun
keeping.py      verify, compact, sync
"""

from sweep.cli import maintain as keeping
from sweep.cli import run as launching
from sweep.cli import trials
from sweep.cli import view as looking
from sweep.cli.root import main

__all__ = ["keeping", "launching", "looking", "main", "trials"]
