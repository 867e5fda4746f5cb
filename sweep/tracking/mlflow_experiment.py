"""A sweep's experiment in MLflow, and which of the runs in it show trials of one store."""

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sweep.store import Store
from sweep.store.identity import identities
from sweep.store.leases import Launch
from sweep.tracking import mlflow_run
from sweep.tracking.artifacts import FOLDER, SERVED, ArtifactFolder, folder_in, local_path
from sweep.tracking.client import EXISTS, ArtifactsElsewhereError, Client, MlflowUnavailable
from sweep.tracking.mlflow_run import MlflowRun, from_mlflow
from sweep.tracking.uri import artifact_location, check_place, is_in_store, is_server, sqlite_file, store_folder

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
    """

    def __init__(self, name: str, store: Store, client: Client):
        self.name, self.client = name, client
        self.id: str | None = None
        self._tags: dict[str, str] = {}  # of the experiment
        self._folder: ArtifactFolder | None = None  # of its runs' files beside an SQLite database
        self._store, self._me = store, Launch()
        self._store_ids: tuple[str, ...] = ()  # the first is written into new runs
        self._owns_all = is_in_store(client.uri, store)  # no other store has runs in this MLflow

    def open(self) -> None:
        """Connect, unless connected. Creates the database and the experiment where they are missing."""
        self._store_ids = identities(self._store.files)  # another process may have added one since
        if self.id is not None:
            return
        check_place(self.client.uri, self._store)
        experiment = self.client.get_experiment_by_name(self.name) or self._create()
        self._set_folder()
        if experiment.lifecycle_stage == "deleted":
            self.client.restore_experiment(experiment.experiment_id)
        self._tags = dict(experiment.tags)
        self.id = experiment.experiment_id

    def close(self) -> None:
        """Disconnect; :meth:`open` connects again."""
        self.client.disconnect()
        self.id = None

    def _create(self) -> Any:
        try:
            self.client.create_experiment(
                self.name, artifact_location=artifact_location(self.client.uri, self._store, self.name)
            )
        except MlflowUnavailable as error:
            if error.code != EXISTS:  # another launch was faster
                raise
        return self.client.get_experiment_by_name(self.name)

    def _set_folder(self) -> None:
        """Set the location of files to the folder beside an SQLite database, which may have been moved."""
        file = sqlite_file(self.client.uri)
        if file is not None:
            self._folder = self.client.watched(lambda: folder_in(file, self.name, is_owned=self._owns_all))

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set those tags of the experiment that it lacks or that differ."""
        for name, value in tags.items():
            if self._tags.get(name) != value:
                self.client.set_experiment_tag(self.id, name, value)
                self._tags[name] = value

    def put_file(self, run_id: str, place: str, name: str, data: bytes) -> None:
        """Write one file of a run, replacing an earlier one of that name: beside the database, or through a server.

        Args:
            run_id: of the run.
            place: where MLflow says that the run's files are.
            name: of the file.
            data: its content.

        Raises:
            MlflowUnavailable: it cannot be written, or only to a place outside the store.
        """
        folder = self._folder or self._own_folder(place)
        if folder is not None:
            self.client.watched(lambda: folder.put(run_id, name, data))
            return
        with tempfile.TemporaryDirectory() as temporary:
            file = Path(temporary) / name
            file.write_bytes(data)
            self.client.log_artifact(run_id, str(file))

    def _own_folder(self, place: str) -> ArtifactFolder | None:
        """The folder in the store that ``place`` is in; None where MLflow writes files itself: to a server, a bucket.

        Raises:
            ArtifactsElsewhereError: any other place.
        """
        path, ours = local_path(place), ArtifactFolder(store_folder(self._store), self.name)
        if path is not None and path.is_relative_to(ours.path) and not is_server(self.client.uri):
            return ours
        is_served = place.startswith(SERVED) and not place.startswith(f"{SERVED}/") and is_server(self.client.uri)
        is_bucket = path is None and not place.startswith(FOLDER) and sqlite_file(self.client.uri) is None
        if not is_served and not is_bucket:
            raise ArtifactsElsewhereError(self.client.uri, place)
        return None

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

    @property
    def store_tag(self) -> dict[str, str]:
        """The tag that names this store."""
        return {mlflow_run.STORE: self._store_ids[0]}

    @property
    def writing_tag(self) -> dict[str, str]:
        """The tag of a run that this process begins to write now; the run's outcome replaces it."""
        return {mlflow_run.OUTCOME: mlflow_run.writing(self._me)}

    def is_others(self, run: MlflowRun) -> bool:
        """Whether another launch or sync is writing the run now."""
        return run.is_being_written and run.writer != self._me

    def delete(self, runs: Iterable[MlflowRun]) -> None:
        """Delete runs, except those that another process is writing."""
        for run in runs:
            if not self.is_others(run):
                self.client.delete_run(run.run_id)
