"""A run that MLflow has: the trial and outcome that it shows, and which process writes it."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sweep.store.leases import Launch

RUNNING = "RUNNING"
WRITING_SECONDS = 60.0  # a run takes a second to write: after this, its writer is taken to be dead
FORGOTTEN_SECONDS = 3600.0  # after this, an unfinished run of a trial that the store lacks is deleted

TRIAL, OUTCOME = "sweep.trial_id", "sweep.outcome"
KIND, CONFIG, CLUSTER = "sweep.kind", "sweep.config", "sweep.cluster"
OTHER_RESULTS = "sweep.other_results"  # of a trial that completed with several results: those that do not count
STORE = "sweep.store"  # an id of the store with the trial or sweep that the run shows
EXPORTER, BEGAN = "sweep.exporter", "sweep.export_began"  # of runs of earlier versions: the process, since when (ms)
# MLflow's own tags: the description, a run's colour in charts, and as what an experiment's pages open
NOTE, COLOUR, EXPERIMENT_KIND = "mlflow.note.content", "mlflow.runColor", "mlflow.experimentKind"
_WRITING = "exporting by "  # begins a run's outcome while it is being written, then the process and since when


@dataclass(frozen=True)
class MlflowRun:
    """A run, with what an export needs to know of it.

    Attributes:
        params: names of its parameters.
        start: ms since 1970; of a trial's run, when the trial started.
        place: where its files are, as MLflow says.
    """

    run_id: str
    status: str
    start: int
    tags: dict[str, str] = field(repr=False)
    params: frozenset[str] = field(repr=False)
    place: str = ""

    @property
    def trial_id(self) -> str | None:
        """The trial that it shows; None of a run that shows no trial."""
        return self.tags.get(TRIAL)

    @property
    def store(self) -> str | None:
        """An id of its store; None of runs of earlier versions."""
        return self.tags.get(STORE)

    @property
    def is_unfinished(self) -> bool:
        """Whether its writer has not finished it. (Trials get their run when they have ended.)"""
        return self.status == RUNNING

    @property
    def age(self) -> float:
        """Seconds since a process began to write it; where that is not known, since 1970."""
        return time.time() - self._writing[1] / 1000

    @property
    def writer(self) -> Launch | None:
        """The process that is writing it; None where that is not known, as of finished runs."""
        try:
            return Launch.from_json(self._writing[0])
        except ValueError:
            return None

    @property
    def _writing(self) -> tuple[str, int]:
        """The process that is writing it, as JSON, and since when."""
        text = self.tags.get(OUTCOME, "")
        if not text.startswith(_WRITING):
            return self.tags.get(EXPORTER, ""), int(self.tags.get(BEGAN, "0"))
        writer, _, began = text.removeprefix(_WRITING).rpartition(" since ")
        return writer, int(began or 0)

    @property
    def is_being_written(self) -> bool:
        """Whether its writer is still writing it; one on another machine is taken to be for a minute."""
        writer = self.writer
        if writer is None or not self.is_unfinished or self.age > WRITING_SECONDS:
            return False
        return not (writer.is_here and writer.has_died)

    def shows(self, outcome: str | None) -> bool:
        """Whether it shows this outcome completely, and as this version shows it: earlier ones gave no description."""
        return not self.is_unfinished and self.tags.get(OUTCOME) == outcome and NOTE in self.tags

    @property
    def users_tags(self) -> dict[str, str]:
        """Its tags that neither sweep nor MLflow gave it."""
        return {name: value for name, value in self.tags.items() if not name.startswith(("sweep.", "mlflow."))}


def writing(writer: Launch) -> str:
    """The outcome of a run that ``writer`` begins to write now."""
    return f"{_WRITING}{writer.to_json()} since {int(time.time() * 1000)}"


def from_mlflow(run: Any) -> MlflowRun:
    """MLflow's own Run as ours."""
    return MlflowRun(
        run.info.run_id,
        run.info.status,
        run.info.start_time or 0,
        run.data.tags,
        frozenset(run.data.params),
        run.info.artifact_uri or "",
    )


def by_trial(runs: Iterable[MlflowRun]) -> dict[str, list[MlflowRun]]:
    """Runs by trial. A run that was listed twice, which happens while others write, counts once."""
    trials: dict[str, list[MlflowRun]] = {}
    for run in {run.run_id: run for run in runs}.values():
        if run.trial_id is not None:
            trials.setdefault(run.trial_id, []).append(run)
    return trials


def best_first(runs: Iterable[MlflowRun], outcome: str | None) -> list[MlflowRun]:
    """The runs of a trial, the one to keep first: every process chooses the same one."""
    return sorted(runs, key=lambda run: (not run.shows(outcome), run.is_unfinished, run.run_id))
