"""The mirror of the store in MLflow: for browsing, never for being right. The only package that imports mlflow.

One experiment a sweep. In it one flat run a trial, with the grid's axes and what differs between trials as
parameters, a metric per epoch and outcome, and tags that say which trial and which outcome of it the run shows; and
one run for the sweep itself, with its config, figures and tables.

All of it is written by one thread of the driver. Trials never talk to MLflow and the sweep never waits for it: where
it is away, a warning says so, and what it lacks is exported as soon as it is back, by the next launch, or by
``sweep sync``. All of them do the same, told by the store alone: they make MLflow level with it. So they may be done
any number of times, be killed anywhere, and be done by several at once:

* A run is ``RUNNING`` only while it is written, which takes a second; its tags say by whom and since when. One that
  nobody ends is replaced.
* A run is written first, and the runs of its trial that it replaces are deleted after that.
* Whoever has written runs looks again. Of several runs of a trial everybody keeps the same one.
* A run says which store it shows (:mod:`sweep.store.identity`). Runs of other stores are left alone.

places.py     where MLflow is
damage.py     a database that cannot be read
artifacts.py  figures and tables beside an SQLite database
client.py     the way there, watched, since a call may hang
content.py    what a run shows, by the records alone
runs.py       runs, as MLflow shows them
experiment.py a sweep's experiment, and which runs in it are of the store
mirror.py     both made the same
own_run.py    the run of the sweep itself
stored.py     what sweeps a store has
tracker.py    what a launch needs of any tracker
exporter.py   in a thread of the driver, while a sweep runs
sync.py       on demand, for whole stores
"""

from collections.abc import Mapping

from sweep.config.config import SweepConfig
from sweep.config.trial_config import TrialConfig
from sweep.store import Store
from sweep.tracking.artifacts import set_all_places
from sweep.tracking.damage import damage
from sweep.tracking.exporter import Exporter
from sweep.tracking.places import default_uri, sqlite_file, ui_command
from sweep.tracking.tracker import NoTracker, Tracker

__all__ = [
    "Exporter", "Tracker", "damage", "default_uri", "open_tracker", "set_all_places", "sqlite_file", "ui_command",
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
