"""A sweep's experiment in MLflow, and which of the runs in it show trials of one store."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from sweep.store import Store
from sweep.store.identity import identities
from sweep.store.leases import Launch
from sweep.tracking import mlflow_run
from sweep.tracking.artifacts import ArtifactFolder
from sweep.tracking.client import EXISTS, Client, MlflowUnavailable
from sweep.tracking.mlflow_run import MlflowRun, from_mlflow
from sweep.tracking.uri import artifact_folder, is_in_store, sqlite_file

RUNS_A_PAGE = 1000
FEW = 8  # runs of up to so many trials are asked for one by one; else the whole experiment is listed


class MlflowExperiment:
    """One experiment, which other stores and launches may write to at any time.

    Runs of other stores are left alone. A run of an earlier version of sweep, which does not name its store, belongs to
    this store if it shows an outcome or a config that this store has, or if the database is in the store's folder.

    Attributes:
        name: of the sweep.
        client: for MLflow.
        id: MLflow's id of it; None before :meth:`open`.
        artifacts: where artifacts are written; None where MLflow stores them itself.
    """

    def __init__(self, name: str, store: Store, client: Client):
        self.name, self.client = name, client
        self.id: str | None = None
        self.artifacts: ArtifactFolder | None = None
        self._store, self._me = store, Launch()
        self._store_ids: tuple[str, ...] = ()  # the first is written into new runs
        self._owns_all = is_in_store(client.uri, store)  # no other store has runs in this MLflow

    def open(self) -> None:
        """Connect, unless connected. Creates the database and the experiment where they are missing."""
        self._store_ids = identities(self._store.files)  # another process may have added one since
        if self.id is not None:
            return
        experiment = self.client.get_experiment_by_name(self.name) or self._create()
        self._set_artifact_location()
        if experiment.lifecycle_stage == "deleted":
            self.client.restore_experiment(experiment.experiment_id)
        self.id = experiment.experiment_id

    def close(self) -> None:
        """Disconnect; :meth:`open` connects again."""
        self.client.disconnect()
        self.id = None

    def _create(self) -> Any:
        try:
            self.client.create_experiment(
                self.name, artifact_location=artifact_folder(self.client.uri, self._store, self.name)
            )
        except MlflowUnavailable as error:
            if error.code != EXISTS:  # another launch was faster
                raise
        return self.client.get_experiment_by_name(self.name)

    def _set_artifact_location(self) -> None:
        """Set the location of artifacts to the folder beside an SQLite database, which may have been moved."""
        file = sqlite_file(self.client.uri)
        if file is None:
            return
        folder = ArtifactFolder(file, self.name)
        is_set = self.client.watched(lambda: folder.set_location(always=self._owns_all))
        self.artifacts = folder if is_set else None

    def runs_of(self, outcomes: Mapping[str, str]) -> dict[str, list[MlflowRun]]:
        """The store's runs of these trials (id -> the store's outcome), possibly of others too."""
        if len(outcomes) <= FEW:
            runs = [run for name in outcomes for run in self.search(f"tags.`{mlflow_run.TRIAL}` = '{name}'")]
        else:
            runs = self.search("")
        return mlflow_run.by_trial(
            run for run in runs if self.is_mine(run, mlflow_run.OUTCOME, outcomes.get(run.trial_id or ""))
        )

    def search(self, condition: str) -> list[MlflowRun]:
        """All runs that match, of any store."""
        runs: list[MlflowRun] = []
        token, more = None, True
        while more:
            page = self.client.search_runs([self.id], condition, max_results=RUNS_A_PAGE, page_token=token)
            runs += map(from_mlflow, page)
            token, more = page.token, bool(page.token)
        return runs

    def is_mine(self, run: MlflowRun, tag: str, value: str | None) -> bool:
        """Whether a run belongs to this store: it names it or, if it names none, its tag has this value."""
        if run.store is not None:
            return run.store in self._store_ids
        return self._owns_all or (value is not None and run.tags.get(tag) == value)

    def adopt(self, run: MlflowRun) -> None:
        """Write this store into a run of an earlier version, which names none."""
        if run.store is None:
            self.client.set_tag(run.run_id, mlflow_run.STORE, self._store_ids[0])

    def writer_tags(self) -> dict[str, str]:
        """Tags of a run that is written now: its store, the process, and since when."""
        began = str(int(time.time() * 1000))
        return {mlflow_run.STORE: self._store_ids[0], mlflow_run.EXPORTER: self._me.to_json(), mlflow_run.BEGAN: began}

    def is_others(self, run: MlflowRun) -> bool:
        """Whether another launch or sync is writing the run now."""
        return run.is_being_written and run.writer != self._me

    def delete(self, runs: Iterable[MlflowRun]) -> None:
        """Delete runs, except those that another process is writing."""
        for run in runs:
            if not self.is_others(run):
                self.client.delete_run(run.run_id)
