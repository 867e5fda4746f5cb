"""The run of a sweep itself: its config, figures and tables."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from sweep.tracking import mlflow_run, trial_run
from sweep.tracking.client import REFUSED, MlflowUnavailable
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
            tags = {mlflow_run.KIND: "sweep", "sweep.name": self._experiment.name, **self._experiment.writer_tags()}
            name = f"sweep {self._experiment.name}"
            created = self._client.create_run(self._experiment.id, tags=tags, run_name=name)
            self._client.set_terminated(created.info.run_id)
            runs = self._list()
        self._experiment.delete(runs[1:])
        if runs[0].is_unfinished:
            self._client.set_terminated(runs[0].run_id)
        self._experiment.adopt(runs[0])
        return runs[0]

    def _list(self) -> list[MlflowRun]:
        runs = self._experiment.search(f"tags.`{mlflow_run.KIND}` = 'sweep'")
        mine = [run for run in runs if self._experiment.is_mine(run, mlflow_run.CONFIG, self._config_hash)]
        return sorted(mine, key=lambda run: (run.start, run.run_id))

    def _put(self, run: MlflowRun, paths: Sequence[Path]) -> None:
        for path in paths:
            self._write(run, path.name, path.read_bytes(), path)
        if self._config is not None and run.tags.get(mlflow_run.CONFIG) != self._config_hash:
            self._write(run, "config.json", self._config.encode())
            self._client.set_tag(run.run_id, mlflow_run.CONFIG, self._config_hash)

    def _write(self, run: MlflowRun, name: str, data: bytes, path: Path | None = None) -> None:
        """Write one artifact: beside the database, or through MLflow, from its file if it has one."""
        folder = self._experiment.artifacts
        if folder is not None:
            self._client.watched(lambda: folder.put(run.run_id, name, data))
        elif path is not None:
            self._client.log_artifact(run.run_id, str(path))
        else:
            self._client.log_text(run.run_id, data.decode(), name)
