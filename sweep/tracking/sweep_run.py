"""The run of a sweep itself: its config, figures and tables."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from sweep.tracking import descriptions, mlflow_run, trial_run
from sweep.tracking.client import MISSING, REFUSED, MlflowUnavailable
from sweep.tracking.mlflow_experiment import MlflowExperiment
from sweep.tracking.mlflow_run import MlflowRun


class SweepRun:
    """The run that shows a sweep of a store. The experiment has to be open."""

    def __init__(self, experiment: MlflowExperiment, config: trial_run.Config | None):
        """``config``: of the sweep, plain values, if it is known."""
        self._experiment, self._client = experiment, experiment.client
        self._config = None if config is None else trial_run.config_json(config)
        self._config_hash = None if self._config is None else hashlib.sha256(self._config.encode()).hexdigest()[:16]

    def put(self, paths: Sequence[Path]) -> None:
        """Put the config and these files into the run, replacing earlier ones of their names."""
        try:
            self._put(self.get(), paths)
        except MlflowUnavailable as error:
            if error.code != REFUSED:
                raise
            self._put(self.get(), paths)  # another launch created one at the same time and deleted ours

    def get(self) -> MlflowRun:
        """The run, created if there is none; if two launches created one each, the first.

        A new run is ended before runs are listed again: of several launches, the last to list them sees only ended
        runs and keeps one.
        """
        runs = self._list()
        if not runs:
            tags = {mlflow_run.KIND: "sweep", "sweep.name": self._experiment.name, **self._experiment.store_tag}
            tags |= self._experiment.writing_tag
            name = f"sweep {self._experiment.name}"
            created = self._client.create_run(self._experiment.id, tags=tags, run_name=name)
            self._client.set_terminated(created.info.run_id)
            runs = self._list()
        self._experiment.delete(runs[1:])
        if runs[0].is_unfinished:
            self._client.set_terminated(runs[0].run_id)
        self._experiment.adopt(runs[0])
        self._amend(runs[0])
        return runs[0]

    def _amend(self, run: MlflowRun) -> None:
        """Give the run a description, and remove the tags that name the process that wrote it."""
        if mlflow_run.NOTE not in run.tags:
            self._client.set_tag(run.run_id, mlflow_run.NOTE, descriptions.of_sweep_run(self._experiment.name))
        for name in {mlflow_run.OUTCOME, mlflow_run.EXPORTER, mlflow_run.BEGAN} & run.tags.keys():
            try:
                self._client.delete_tag(run.run_id, name)
            except MlflowUnavailable as error:
                if error.code != MISSING:  # another process was faster
                    raise

    def _list(self) -> list[MlflowRun]:
        runs = self._experiment.search(f"tags.`{mlflow_run.KIND}` = 'sweep'")
        mine = [run for run in runs if self._experiment.is_mine(run, mlflow_run.CONFIG, self._config_hash)]
        return sorted(mine, key=lambda run: (run.start, run.run_id))

    def _put(self, run: MlflowRun, paths: Sequence[Path]) -> None:
        for path in paths:
            self._experiment.put_file(run.run_id, run.place, path.name, path.read_bytes())
        if self._config is not None and run.tags.get(mlflow_run.CONFIG) != self._config_hash:
            self._experiment.put_file(run.run_id, run.place, "config.json", self._config.encode())
            self._client.set_tag(run.run_id, mlflow_run.CONFIG, self._config_hash)
