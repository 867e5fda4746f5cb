"""A sweep's experiment in MLflow, and which of the runs in it show trials of one store."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from sweep.store import Store
from sweep.store.identity import identities
from sweep.store.leases import Launch
from sweep.tracking import runs
from sweep.tracking.artifacts import ArtifactFolder
from sweep.tracking.client import EXISTS, Away, Client
from sweep.tracking.places import artifact_folder, is_of_store, sqlite_file
from sweep.tracking.runs import Shown, shown

RUNS_A_PAGE = 1000
FEW = 8  # trials whose runs are asked for one by one, rather than listing the whole experiment's


class Experiment:
    """One experiment, which other stores and launches may write to at any time.

    Runs of other stores are left alone. A run of an earlier version of sweep, which does not say its store, counts as
    this store's where it shows an outcome or a config that this store holds, or where the database lies in its folder.

    Attributes:
        name: of the sweep.
        client: the way to MLflow.
        id: MLflow's; None before :meth:`open`.
        artifacts: where the artifacts are written; None where MLflow has a place of its own.
    """

    def __init__(self, name: str, store: Store, client: Client):
        self.name, self.client = name, client
        self.id: str | None = None
        self.artifacts: ArtifactFolder | None = None
        self._store, self._me = store, Launch()
        self._ids: tuple[str, ...] = ()  # of the store, the one to use first
        self._owns_all = is_of_store(client.uri, store)  # whether no other store has runs in this MLflow

    def open(self) -> None:
        """Connect, once. Creates database and experiment where there are none."""
        self._ids = identities(self._store.files)  # others may have made one since
        if self.id is not None:
            return
        found = self.client.get_experiment_by_name(self.name) or self._make()
        self._place_artifacts()
        if found.lifecycle_stage == "deleted":
            self.client.restore_experiment(found.experiment_id)
        self.id = found.experiment_id

    def close(self) -> None:
        """Forget the connection."""
        self.client.disconnect()
        self.id = None

    def _make(self) -> Any:
        try:
            self.client.create_experiment(
                self.name, artifact_location=artifact_folder(self.client.uri, self._store, self.name)
            )
        except Away as error:
            if error.code != EXISTS:  # another launch has been quicker
                raise
        return self.client.get_experiment_by_name(self.name)

    def _place_artifacts(self) -> None:
        """Make an SQLite database say that artifacts lie beside it, wherever it lay before."""
        file = sqlite_file(self.client.uri)
        if file is None:
            return
        folder = ArtifactFolder(file, self.name)
        is_here = self.client.do(lambda: folder.set_places(always=self._owns_all))
        self.artifacts = folder if is_here else None

    # runs

    def runs_of(self, wanted: Mapping[str, str]) -> dict[str, list[Shown]]:
        """The store's runs of these trials, which have these outcomes; maybe of others too."""
        if len(wanted) <= FEW:
            found = [run for name in wanted for run in self.search(f"tags.`{runs.TRIAL}` = '{name}'")]
        else:
            found = self.search("")
        return runs.by_trial(run for run in found if self.is_mine(run, runs.OUTCOME, wanted.get(run.trial_id or "")))

    def search(self, condition: str) -> list[Shown]:
        """All runs that match, of whatever store."""
        found: list[Shown] = []
        token, more = None, True
        while more:
            page = self.client.search_runs([self.id], condition, max_results=RUNS_A_PAGE, page_token=token)
            found += map(shown, page)
            token, more = page.token, bool(page.token)
        return found

    def is_mine(self, run: Shown, tag: str, value: str | None) -> bool:
        """Whether a run shows something of this store: it says so or, where it does not say, its tag has our value."""
        if run.store is not None:
            return run.store in self._ids
        return self._owns_all or (value is not None and run.tags.get(tag) == value)

    def adopt(self, run: Shown) -> None:
        """Note on a run of an earlier version which store it shows."""
        if run.store is None:
            self.client.set_tag(run.run_id, runs.STORE, self._ids[0])

    def writer(self) -> dict[str, str]:
        """Tags of a run that is written now: of which store, by whom and since when."""
        began = str(int(time.time() * 1000))
        return {runs.STORE: self._ids[0], runs.EXPORTER: self._me.to_json(), runs.BEGAN: began}

    def is_others(self, run: Shown) -> bool:
        """Whether another launch or sync is writing the run just now."""
        return run.is_being_written and run.writer != self._me

    def delete(self, found: Iterable[Shown]) -> None:
        """Delete runs, but those that another is writing."""
        for run in found:
            if not self.is_others(run):
                self.client.delete_run(run.run_id)
