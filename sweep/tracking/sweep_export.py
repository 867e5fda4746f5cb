"""Export of a sweep: brings its experiment in MLflow up to date with the store."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any, TypeVar

from sweep.records import EpochRecord, TrialRecord, trial_record
from sweep.store import Store
from sweep.tracking import descriptions, mlflow_run, trial_run
from sweep.tracking.client import REFUSED, Client, MlflowUnavailable
from sweep.tracking.mlflow_experiment import MlflowExperiment
from sweep.tracking.mlflow_run import MlflowRun
from sweep.tracking.sweep_run import SweepRun
from sweep.tracking.views import TRAINING, Link, views

METRICS_A_CALL, PARAMS_A_CALL = 900, 100  # limits of log_batch: 1000 entries, 100 of them parameters
TRIALS_A_READ = 256  # trials whose epochs and layers are read at once: each read lists folders

T = TypeVar("T")
OnProgress = Callable[[int, int], None]  # trials exported so far, and in all


@dataclass(frozen=True)
class ExportCounts:
    """Result of one update.

    Attributes:
        exported: trials that MLflow lacked, or showed differently, and shows now.
        without_layers: why MLflow did not take the table of layers of some of them; None if it took all.
        up_to_date: trials that MLflow showed as the store has them.
        busy: trials left to another launch or sync, which is exporting them now.
    """

    exported: int = 0
    up_to_date: int = 0
    busy: int = 0
    without_layers: str | None = None


class SweepExport:
    """Export of one sweep. Every method may raise :class:`MlflowUnavailable`; runs written by then are kept.

    About runs it remembers only ``exported``: other processes may write to the same experiment at any time.

    Attributes:
        exported: trials that MLflow shows as the store has them, as far as this object knows.
    """

    def __init__(
        self,
        name: str,
        trials: Mapping[str, trial_run.Config],
        store: Store,
        client: Client,
        config: trial_run.Config | None = None,
        other_results: Mapping[str, str] | None = None,
    ):
        """
        Args:
            name: of the sweep.
            trials: configs by trial id, plain values as they are stored.
            store: of the trials.
            client: for MLflow.
            config: of the sweep, plain values, if it is known.
            other_results: the tag of each trial that completed with several results; None: leave these tags alone.
        """
        self.name, self.exported = name, set[str]()
        self._trials, self._store, self._client = trials, store, client
        self._other_results = other_results
        self._differing = trial_run.differing(trials.values())
        self._without_layers: str | None = None  # why MLflow did not take a table of layers in this update
        self._experiment = MlflowExperiment(name, store, client)
        self._sweep_run = SweepRun(self._experiment, config)

    def update(
        self, trials: Collection[str] | None = None, on_progress: OnProgress = lambda done, total: None
    ) -> ExportCounts:
        """Export what the store has of these trials, or of all, and MLflow lacks or shows differently.

        Of several runs of a trial all but one are deleted, and so are runs whose writer has died. Runs of other stores
        are left alone.
        """
        self._experiment.open()
        outcomes = self._outcomes(self._trials if trials is None else trials)
        runs = self._experiment.runs_of(outcomes)
        up_to_date, missing, busy = self._sorted(outcomes, runs)
        for name in up_to_date:
            self._experiment.adopt(mlflow_run.best_first(runs[name], outcomes[name])[0])
        self._without_layers = None
        for done, record in enumerate(self._export(missing, runs), start=1):
            outcomes[record.trial_id] = trial_run.outcome(vars(record))  # possibly a newer one
            self._experiment.delete(runs.get(record.trial_id, ()))
            on_progress(done, len(missing))
        amended = self._amend({name: mlflow_run.best_first(runs[name], outcomes[name])[0] for name in up_to_date})
        runs |= self._experiment.runs_of({name: outcomes[name] for name in missing})
        self._delete_extra(runs, outcomes)
        exported = [name for name in missing if _shows(runs.get(name, ()), outcomes[name])]
        self.exported.update(up_to_date, exported)
        replaced = len(missing) - len(exported)  # just written, and now another process writes them again
        self.set_views()
        counts = len(exported) + len(amended), len(up_to_date) - len(amended), len(busy) + replaced
        return ExportCounts(*counts, self._without_layers)

    def set_views(self) -> list[Link]:
        """Set the sweep's views in MLflow's pages, and the experiment's description. Returns links to the views."""
        self._experiment.open()
        both = views(self._trials.values(), self._differing)
        links = [view.link(str(self._experiment.id)) for view in both]
        about = {mlflow_run.NOTE: descriptions.of_experiment(self.name, links), mlflow_run.EXPERIMENT_KIND: TRAINING}
        self._experiment.set_tags({view.tag: view.value for view in both} | about)
        return links

    def add_artifacts(self, paths: Sequence[Path]) -> None:
        """Put the sweep's config and these files into its own run, replacing earlier ones of their names.

        MLflow may store artifacts elsewhere, in a bucket for example, so this can fail while runs are exported.
        """
        self._experiment.open()
        self._sweep_run.put(paths)

    def close(self) -> None:
        """Disconnect, and forget which trials are exported."""
        self._experiment.close()
        self.exported.clear()

    def _outcomes(self, names: Collection[str]) -> dict[str, str]:
        """Trial id -> the store's outcome."""
        rows = self._store.trials(names, trial_run.OUTCOME_COLUMNS).to_pylist()
        return {row["trial_id"]: trial_run.outcome(row) for row in rows}

    def _sorted(
        self, outcomes: Mapping[str, str], runs: Mapping[str, list[MlflowRun]]
    ) -> tuple[list[str], list[str], list[str]]:
        """Trials that are up to date, that are missing, and that another process is exporting."""
        up_to_date, missing, busy = [], [], []
        for name, outcome in outcomes.items():
            of_trial = runs.get(name, [])
            if _shows(of_trial, outcome):
                up_to_date.append(name)
            elif any(self._experiment.is_others(run) for run in of_trial):
                busy.append(name)
            else:
                missing.append(name)
        return up_to_date, missing, busy

    def _export(self, names: list[str], runs: Mapping[str, list[MlflowRun]]) -> Iterator[TrialRecord]:
        """Write one run a trial, in place of ``runs``. Yields the record that it shows, once it is complete."""
        for batch in _batches(names, TRIALS_A_READ):
            records = self._records(batch)
            epochs = _by_trial(self._store.epochs(batch).to_pylist())
            layers = self._layers(batch)
            for record in records:
                name = record.trial_id
                users_tags = [run.users_tags for run in runs.get(name, ())]
                self._write(record, epochs.get(name, []), layers.get(name, []), users_tags)
                yield record

    def _records(self, names: Collection[str]) -> list[TrialRecord]:
        return [trial_record(row) for row in self._store.trials(names).to_pylist()]

    def _layers(self, names: Collection[str]) -> dict[str, list[dict[str, Any]]]:
        return _by_trial(self._store.masks(names, ["trial_id", *trial_run.LAYER_COLUMNS]).to_pylist())

    def _write(
        self,
        record: TrialRecord,
        epochs: list[dict[str, Any]],
        layers: list[dict[str, Any]],
        users_tags: Iterable[Mapping[str, str]],
    ) -> None:
        """Write one trial's run, which is ``RUNNING`` until it is complete."""
        start, end = trial_run.times(record)
        tags = trial_run.tags(record) | self._experiment.store_tag | self._experiment.writing_tag
        if self._other_results and record.trial_id in self._other_results:
            tags[mlflow_run.OTHER_RESULTS] = self._other_results[record.trial_id]
        for given in users_tags:
            tags = {**given, **tags}
        run = self._client.create_run(self._experiment.id, start, tags, run_name=record.title)
        run_id: str = run.info.run_id
        by_epoch = sorted((EpochRecord(**row) for row in epochs), key=lambda epoch: epoch.epoch)
        note = self._describe(record, mlflow_run.from_mlflow(run), layers)
        shown = {mlflow_run.OUTCOME: trial_run.outcome(vars(record)), mlflow_run.NOTE: note}
        try:
            self._fill(run_id, record, list(trial_run.metrics(record, by_epoch)), shown)
            self._client.set_terminated(run_id, trial_run.run_status(record), end)
        except MlflowUnavailable as error:
            if error.code != REFUSED or self._client.get_run(run_id).info.lifecycle_stage != "deleted":
                raise  # else another process took this one for dead and shows the trial in its place

    def _describe(self, record: TrialRecord, run: MlflowRun, layers: list[dict[str, Any]]) -> str:
        """Put the table of layers into a trial's run. Returns the run's description, which says whether MLflow took it.

        After one that MLflow did not take, no other is tried in this update.
        """
        if layers and self._without_layers is None:
            try:
                self._experiment.put_file(run.run_id, run.place, trial_run.LAYERS, trial_run.layers_csv(layers))
            except MlflowUnavailable as error:
                if self._client.is_stopped:
                    raise
                self._without_layers = str(error)
        return descriptions.of_trial(record, layers=self._without_layers is None if layers else None)

    def _fill(
        self, run: str, record: TrialRecord, metrics: list[tuple[str, float, int, int]], tags: Mapping[str, str]
    ) -> None:
        from mlflow.entities import Metric, Param, RunTag

        values = trial_run.params(self._trials[record.trial_id], self._differing)
        params = _batches([Param(*param) for param in values.items()], PARAMS_A_CALL)
        batches = _batches([Metric(*metric) for metric in metrics], METRICS_A_CALL)
        of_run = iter([[RunTag(*tag) for tag in tags.items()]])
        for some_params, some_metrics, some_tags in zip_longest(params, batches, of_run, fillvalue=()):
            self._client.log_batch(run, metrics=some_metrics, params=some_params, tags=some_tags)

    def _amend(self, runs: Mapping[str, MlflowRun]) -> list[str]:
        """Give runs what they lack. Returns the names of their trials.

        Parameters that differ between trials only since the run was written, other results that are known since, and
        tables of layers that MLflow refused.
        """
        amended = [name for name, run in runs.items() if self._add_params(run)]
        amended += [name for name, run in runs.items() if self._set_other_results(name, run)]
        lacking = [name for name, run in runs.items() if descriptions.lacks_layers(run.tags[mlflow_run.NOTE])]
        for batch in _batches(lacking, TRIALS_A_READ):
            layers = self._layers(batch)
            for record in self._records(batch):
                run = runs[record.trial_id]
                note = self._describe(record, run, layers.get(record.trial_id, []))
                if note != run.tags[mlflow_run.NOTE]:
                    self._client.set_tag(run.run_id, mlflow_run.NOTE, note)
                    amended.append(record.trial_id)
        return list(dict.fromkeys(amended))

    def _set_other_results(self, name: str, run: MlflowRun) -> bool:
        """Set the tag of a trial's other results. Returns whether it was another."""
        if self._other_results is None:
            return False
        tag = self._other_results.get(name, "")
        if run.tags.get(mlflow_run.OTHER_RESULTS, "") == tag:
            return False
        self._client.set_tag(run.run_id, mlflow_run.OTHER_RESULTS, tag)
        return True

    def _add_params(self, run: MlflowRun) -> bool:
        """Add the parameters that a run lacks. Returns whether there are any."""
        from mlflow.entities import Param

        params = trial_run.params(self._trials[run.tags[mlflow_run.TRIAL]], self._differing)
        missing = [Param(name, value) for name, value in params.items() if name not in run.params]
        for batch in _batches(missing, PARAMS_A_CALL):
            self._client.log_batch(run.run_id, params=batch)
        return bool(missing)

    def _delete_extra(self, runs: Mapping[str, list[MlflowRun]], outcomes: Mapping[str, str]) -> None:
        """Delete all but one run of each trial, and runs that no process finishes."""
        for name, of_trial in runs.items():
            if name in outcomes:
                self._experiment.delete(mlflow_run.best_first(of_trial, outcomes[name])[1:])
            else:  # possibly being exported by a launch on another machine
                self._experiment.delete(
                    run for run in of_trial if run.is_unfinished and run.age > mlflow_run.FORGOTTEN_SECONDS
                )


def _shows(runs: Iterable[MlflowRun], outcome: str) -> bool:
    return any(run.shows(outcome) for run in runs)


def _by_trial(rows: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    trials: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        trials.setdefault(row["trial_id"], []).append(row)
    return trials


def _batches(items: list[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
