"""A sweep's experiment in MLflow, through MlflowClient alone: nothing global, one thread."""

import logging
import os
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sweep.config import SweepConfig
from sweep.grid import expand, trial_id
from sweep.records import EpochRecord, TrialRecord, trial_record
from sweep.store import Store
from sweep.tracking import content

if TYPE_CHECKING:
    from mlflow.entities import Run

ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # by default a call to a dead server takes four minutes
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
METRICS_A_CALL = 1000  # that log_batch takes
PARAMS_A_CALL = 100

T = TypeVar("T")


def redacted(text: str) -> str:
    """``text`` without the user names and passwords of the URLs in it."""
    return re.sub(r"://[^/@\s]+@", "://***@", text)


def is_server(uri: str) -> bool:
    """Whether a tracking URI is a server's, rather than a database's."""
    return uri.startswith(("http://", "https://"))


class Mirror:
    """A sweep's experiment. Every method may raise whatever MLflow raises."""

    def __init__(self, sweep: SweepConfig, store: Store, uri: str):
        self.uri = uri
        self._sweep, self._store = sweep, store
        self._trials = {trial_id(trial): trial for trial in expand(sweep)}
        self._differing = content.differing(self._trials.values())
        self._client: Any = None
        self._experiment = ""
        self._runs: dict[str, Run] = {}  # by trial id

    def open(self) -> None:
        """Connect and learn which runs there are, once. Creates database and experiment where there are none."""
        if self._client is not None:
            return
        client = _client(self.uri)
        name = self._sweep.name
        experiment = client.get_experiment_by_name(name)
        if experiment is None:
            self._experiment = client.create_experiment(name, artifact_location=self._artifact_location())
        else:
            self._experiment = experiment.experiment_id
            if experiment.lifecycle_stage == "deleted":
                client.restore_experiment(self._experiment)
        tagged = [(run.data.tags, run) for run in _all_runs(client, self._experiment)]
        self._runs = {tags["sweep.trial_id"]: run for tags, run in tagged if "sweep.trial_id" in tags}
        own = [run for tags, run in tagged if tags.get("sweep.kind") == "sweep"]
        self._own_run = own[0].info.run_id if own else self._make_own_run(client)
        self._client = client

    def close(self) -> None:
        """Forget the connection and what was learned."""
        self._client, self._runs = None, {}

    def catch_up(self) -> None:
        """Export the outcomes of this sweep's trials that are in the store and not in MLflow."""
        for row in self._store.trials().to_pylist():
            if row["trial_id"] in self._trials:
                self.export(trial_record(row))

    def export(self, record: TrialRecord) -> None:
        """Write one trial's run, once: where MLflow shows another outcome, or half of one, that is replaced."""
        from mlflow.entities import Metric, Param

        old = self._runs.get(record.trial_id)
        if old is not None:
            if old.info.status != "RUNNING" and old.data.tags.get("sweep.outcome") == content.outcome(record):
                return
            self._client.delete_run(old.info.run_id)
        start, end = content.times(record)
        run = self._client.create_run(self._experiment, start, content.tags(record), run_name=content.title(record))
        params = [Param(*param) for param in content.params(record, self._differing).items()]
        layers = self._store.masks([record.trial_id], content.LAYER_COLUMNS).to_pylist()
        metrics = [Metric(*metric) for metric in content.metrics(record, self._epochs(record), layers)]
        for some_params in _pieces(params, PARAMS_A_CALL):
            self._client.log_batch(run.info.run_id, params=some_params)
        for some_metrics in _pieces(metrics, METRICS_A_CALL):
            self._client.log_batch(run.info.run_id, metrics=some_metrics)
        self._client.set_terminated(run.info.run_id, content.run_status(record), end)
        self._runs[record.trial_id] = self._client.get_run(run.info.run_id)

    def add_artifacts(self, paths: Iterable[Path]) -> None:
        """Put the sweep's config and these files into its own run."""
        self._client.log_text(self._own_run, content.config_json(self._sweep), "config.json")
        for path in paths:
            self._client.log_artifact(self._own_run, str(path))

    def _make_own_run(self, client: Any) -> str:
        tags = {"sweep.kind": "sweep", "sweep.name": self._sweep.name}
        run = client.create_run(self._experiment, tags=tags, run_name=f"sweep {self._sweep.name}")
        client.set_terminated(run.info.run_id)
        return str(run.info.run_id)

    def _artifact_location(self) -> str | None:
        """An absolute folder beside the database; a server has a place of its own."""
        if is_server(self.uri):
            return None
        file = re.fullmatch(r"sqlite:///(/.+)", self.uri)
        folder = Path(file[1]).parent if file else (self._store.local or Path.cwd()).absolute()
        return (folder / "mlflow-artifacts" / self._sweep.name).as_uri()

    def _epochs(self, record: TrialRecord) -> list[EpochRecord]:
        if not record.epochs:
            return []
        rows = self._store.epochs([record.trial_id]).to_pylist()
        return sorted((EpochRecord(**row) for row in rows), key=lambda epoch: epoch.epoch)


def _client(uri: str) -> Any:
    """A client with short time limits, that prints nothing."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import mlflow  # takes more than a second, so not before it is needed

    for name in ("mlflow", "alembic", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if uri.startswith("sqlite:////"):
        Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    return mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)


def _all_runs(client: Any, experiment: str) -> "Iterator[Run]":
    token = None
    while True:
        page = client.search_runs([experiment], max_results=1000, page_token=token)
        yield from page
        if not (token := page.token):
            return


def _pieces(items: list[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while piece := list(islice(rest, size)):
        yield piece
