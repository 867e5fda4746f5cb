"""Sparsity sweeps: from a YAML to figures. This docstring is the map; docs/architecture.md says more.

The way from a YAML to a figure, as ``sweep launch mine.yaml`` takes it:

    config.config.read_sweep     the YAML becomes a SweepConfig; an error names the line and the fix
    launch.plan.plan             expands the grid (config.grid), asks the store what is completed, keeps the rest
    engines.choose               one process, several processes, or Ray
    trial.attempts.run_attempts  in a worker: runs a trial, again where that may help
    trial.run.run_trial          prunes (pruning.prune), trains (training.loop); a failure becomes a record
    store.claims                 writes the outcome to the store; the trial's row comes last
    tracking.Exporter            a thread of the driver mirrors the outcome in MLflow
    report.write_report          reads the store; writes tables and figures
    launch.run.Summary           statuses and exit code, for the terminal

The packages; each imports only from those below it (import-linter checks this):

    cli          the commands: parse, call one function, print
    launch       a sweep from its plan to the finished store
    reproduce    published numbers and claims, compared with our own runs
    engines      where trials run: inline, processes, on_ray
    query        a store's records as Arrow tables, and SQL over them
    export       masks, weights and compact networks of stored trials, for other tools
    report       cells, comparisons, tables and figures of a store
    tracking     the mirror of the store in MLflow
    trial        one trial: a config in, records out
    store        the records as Parquet files: the only state
    config       what a YAML says, checked and expanded into trials
    statistics   intervals, tests and bootstraps of plain numbers

Modules that all of them may import; none imports torch:

    failures     failures by kind, and what to do about each
    records      the records: a trial, an epoch, a mask, a sweep
    errors       errors that end a command with one message
    text         numbers, lines and addresses as people read them
    streams      output that survives a closed pipe or an unknown encoding
    collector    settings of Python's garbage collector
    imports      makes new processes import this sweep, pruning and training

For notebooks and scripts, ``sweep.load("results")`` has the records of a store as Arrow tables (docs/analysis.md).
Importing ``sweep`` loads none of these packages.
"""

import importlib
from typing import TYPE_CHECKING, Any

from sweep import imports

if TYPE_CHECKING:
    from sweep.export.stored import final_weights, initial_weights, load_masks
    from sweep.query import load

__version__ = "0.1.0"
__all__ = ["__version__", "final_weights", "initial_weights", "load", "load_masks"]

imports.prefer_ours()
_MODULES = {  # of the functions that are imported when they are first used
    "load": "sweep.query",
    **dict.fromkeys(("load_masks", "initial_weights", "final_weights"), "sweep.export.stored"),
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
