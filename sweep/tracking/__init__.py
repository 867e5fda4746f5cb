"""Export of a store to MLflow, for browsing: the store stays the source of truth. Only this package imports mlflow.

One experiment a sweep. It has one flat run a trial, with the grid's axes, the main settings and those that differ
between trials as parameters, a metric for each epoch and outcome, a table of the layers as a file, and tags that name
the trial and the outcome; and one run for the sweep itself, with its config, figures and tables. Tags of the experiment
hold the views that ``sweep ui`` links to.

One thread of the driver writes all of it. Trials never talk to MLflow and the sweep never waits for it: if MLflow does
not answer, a warning says so, and the next launch, or ``sweep sync``, exports what is missing. Each of them compares
MLflow with the store alone and exports the difference, so an export may be repeated, killed at any time, and done by
several processes at once:

* A run is ``RUNNING`` only while it is written, which takes a second; until then a tag says which process writes it and
  since when. A run whose writer died is replaced, and so is one that an earlier version wrote in another form.
* A new run is written first; then the runs of its trial that it replaces are deleted.
* Every writer looks again after writing. Of several runs of a trial, all writers keep the same one.
* A run names the store that it shows (:mod:`sweep.store.identity`). Runs of other stores are left alone.

uri.py                where MLflow is
database.py           its SQLite database: created, and checked for damage
artifacts.py          figures and tables beside an SQLite database, and only there
client.py             calls to MLflow, with how long each has waited
mlflow_run.py         a run that MLflow has
trial_run.py          content of a trial's run, from its records alone
sweep_run.py          the run of the sweep itself
views.py              the table and the charts that links open in MLflow's pages
descriptions.py       what MLflow shows above a run and an experiment
mlflow_experiment.py  a sweep's experiment, and which of its runs are of the store
stored_sweep.py       a sweep that a store has
tracker.py            what a launch needs of any tracker
sweep_export.py       brings the experiment up to date with the store
exporter.py           does so in a thread of the driver, while a sweep runs
sync.py               does so on demand, for whole stores
pages.py              links to the views, and the server of MLflow's pages
"""

from collections.abc import Mapping

from sweep.config.config import SweepConfig
from sweep.config.trial_config import TrialConfig
from sweep.store import Store
from sweep.tracking.database import damage
from sweep.tracking.exporter import Exporter
from sweep.tracking.pages import serve, sweep_links
from sweep.tracking.tracker import NoTracker, Tracker
from sweep.tracking.uri import default_uri, sqlite_file, ui_command

__all__ = [
    "Exporter", "Tracker", "damage", "default_uri", "open_tracker", "serve", "sqlite_file", "sweep_links",
    "ui_command",
]  # fmt: skip


def open_tracker(sweep: SweepConfig, trials: Mapping[str, TrialConfig], store: Store, *, is_whole: bool) -> Tracker:
    """The tracker that a sweep's config asks for. Another tracker is chosen here.

    Args:
        sweep, trials, store: what is launched.
        is_whole: whether ``trials`` are all that the sweep asks for.
    """
    if not sweep.tracking.enabled or not trials:
        return NoTracker()
    return Exporter(sweep, trials, store, is_whole=is_whole)
