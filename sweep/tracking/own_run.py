"""The run of a sweep itself: its config, figures and tables."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from sweep.tracking import content, runs
from sweep.tracking.client import REFUSED, Away
from sweep.tracking.experiment import Experiment
from sweep.tracking.runs import Shown


class OwnRun:
    """The one run that shows a sweep of a store. The experiment has to be open."""

    def __init__(self, experiment: Experiment, config: content.Config | None):
        """``config``: of the sweep, plain values, if it is known."""
        self._experiment, self._client = experiment, experiment.client
        self._config = None if config is None else content.config_json(config)
        self._mark = None if self._config is None else hashlib.sha256(self._config.encode()).hexdigest()[:16]

    def put(self, paths: Sequence[Path]) -> None:
        """Put the config and these files into the run, in the place of earlier ones of their names."""
        try:
            self._put(self.get(), paths)
        except Away as error:
            if error.code != REFUSED:
                raise
            self._put(self.get(), paths)  # another launch made one at the same time, and has deleted ours

    def get(self) -> Shown:
        """The run, made if there is none: the first, where two launches made one each.

        Ended before it is looked for: so of several launches the last to look sees nothing but runs that have ended,
        and leaves one of them.
        """
        found = self._look()
        if not found:
            tags = {runs.KIND: "sweep", "sweep.name": self._experiment.name, **self._experiment.writer()}
            name = f"sweep {self._experiment.name}"
            made = self._client.create_run(self._experiment.id, tags=tags, run_name=name)
            self._client.set_terminated(made.info.run_id)
            found = self._look()
        self._experiment.delete(found[1:])
        if found[0].is_half_written:
            self._client.set_terminated(found[0].run_id)
        self._experiment.adopt(found[0])
        return found[0]

    def _look(self) -> list[Shown]:
        found = self._experiment.search(f"tags.`{runs.KIND}` = 'sweep'")
        mine = [run for run in found if self._experiment.is_mine(run, runs.CONFIG, self._mark)]
        return sorted(mine, key=lambda run: (run.start, run.run_id))

    def _put(self, run: Shown, paths: Sequence[Path]) -> None:
        for path in paths:
            self._write(run, path.name, path.read_bytes(), path)
        if self._config is not None and run.tags.get(runs.CONFIG) != self._mark:
            self._write(run, "config.json", self._config.encode())
            self._client.set_tag(run.run_id, runs.CONFIG, self._mark)

    def _write(self, run: Shown, name: str, data: bytes, path: Path | None = None) -> None:
        """One artifact: beside the database, or where MLflow says, from the file that it is in, if it is in one."""
        folder = self._experiment.artifacts
        if folder is not None:
            self._client.do(lambda: folder.put(run.run_id, name, data))
        elif path is not None:
            self._client.log_artifact(run.run_id, str(path))
        else:
            self._client.log_text(run.run_id, data.decode(), name)
