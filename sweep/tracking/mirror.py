"""A sweep's experiment in MLflow: made level with the store, told by the store alone."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any, TypeVar

from sweep.records import EpochRecord, TrialRecord, trial_record
from sweep.store import Store
from sweep.tracking import content, runs
from sweep.tracking.client import REFUSED, Away, Client
from sweep.tracking.experiment import Experiment
from sweep.tracking.own_run import OwnRun
from sweep.tracking.runs import Shown

METRICS_A_CALL, PARAMS_A_CALL = 900, 100  # log_batch takes 1000 things, and so many parameters of them
TRIALS_A_READ = 256  # whose epochs and layers are read at once: each reading lists folders

T = TypeVar("T")
Tell = Callable[[int, int], None]  # trials exported so far, of how many


@dataclass(frozen=True)
class Tally:
    """What came of making MLflow level.

    Attributes:
        exported: trials that it lacked, or showed differently, and shows now.
        level: trials that it showed as they are.
        busy: trials that another launch or sync seems to be exporting just now, and that were left to it.
    """

    exported: int = 0
    level: int = 0
    busy: int = 0


class Mirror:
    """A sweep's experiment. Every method may raise :class:`Away`; what was done by then stays done.

    It keeps nothing in mind about runs but ``is_shown``: others may write to the same experiment at any time.

    Attributes:
        is_shown: trials that have been exported, or were found to be shown as they are.
    """

    def __init__(
        self,
        name: str,
        trials: Mapping[str, content.Config],
        store: Store,
        client: Client,
        config: content.Config | None = None,
    ):
        """
        Args:
            name: of the sweep.
            trials: configs by trial id, plain values as they are stored.
            store: what is to be shown.
            client: the way to MLflow.
            config: of the sweep, plain values, if it is known.
        """
        self.name, self.is_shown = name, set[str]()
        self._trials, self._store, self._client = trials, store, client
        self._differing = content.differing(trials.values())
        self._experiment = Experiment(name, store, client)
        self._own_run = OwnRun(self._experiment, config)

    def level(self, among: Collection[str] | None = None, tell: Tell = lambda done, total: None) -> Tally:
        """Export what the store has of these trials, or of all, and MLflow lacks or shows differently. Once each.

        Of several runs of a trial, all but one are deleted, and so are those whose writer has died. Runs of other
        stores are left alone.
        """
        self._experiment.open()
        wanted = self._outcomes(self._trials if among is None else among)
        found = self._experiment.runs_of(wanted)
        level, lacking, busy = self._sorted(wanted, found)
        for name in level:
            self._experiment.adopt(runs.best_first(found[name], wanted[name])[0])
        for done, record in enumerate(self._export(lacking), start=1):
            wanted[record.trial_id] = content.outcome(vars(record))  # by now another, maybe
            self._experiment.delete(found.get(record.trial_id, ()))
            tell(done, len(lacking))
        amended = [name for name in level if self._add_params(found[name], wanted[name])]
        found |= self._experiment.runs_of({name: wanted[name] for name in lacking})
        self._tidy(found, wanted)
        exported = [name for name in lacking if _shows(found.get(name, ()), wanted[name])]
        self.is_shown.update(level, exported)
        lost = len(lacking) - len(exported)  # what was just written, another is writing in its place
        return Tally(len(exported) + len(amended), len(level) - len(amended), len(busy) + lost)

    def add_artifacts(self, paths: Sequence[Path]) -> None:
        """Put the sweep's config and these files into its own run, in the place of earlier ones of their names.

        They may have another way to MLflow than all the rest, which fails alone: a bucket, say.
        """
        self._experiment.open()
        self._own_run.put(paths)

    def close(self) -> None:
        """Forget the connection and what was learned."""
        self._experiment.close()
        self.is_shown.clear()

    # what there is

    def _outcomes(self, names: Collection[str]) -> dict[str, str]:
        """The outcomes that the store has of these trials."""
        rows = self._store.trials(names, content.OUTCOME_COLUMNS).to_pylist()
        return {row["trial_id"]: content.outcome(row) for row in rows}

    def _sorted(
        self, wanted: Mapping[str, str], found: Mapping[str, list[Shown]]
    ) -> tuple[list[str], list[str], list[str]]:
        """Trials that are shown as they are, those that are not, and those that another launch is exporting."""
        level, lacking, busy = [], [], []
        for name, outcome in wanted.items():
            of_trial = found.get(name, [])
            if _shows(of_trial, outcome):
                level.append(name)
            elif any(self._experiment.is_others(run) for run in of_trial):
                busy.append(name)
            else:
                lacking.append(name)
        return level, lacking, busy

    # what is written

    def _export(self, names: list[str]) -> Iterator[TrialRecord]:
        """Write a run a trial. Yields what each shows, as soon as it is whole."""
        for some in _pieces(names, TRIALS_A_READ):
            records = [trial_record(row) for row in self._store.trials(some).to_pylist()]
            epochs = _by_trial(self._store.epochs(some).to_pylist())
            layers = _by_trial(self._store.masks(some, ["trial_id", *content.LAYER_COLUMNS]).to_pylist())
            for record in records:
                self._write(record, epochs.get(record.trial_id, []), layers.get(record.trial_id, []))
                yield record

    def _write(self, record: TrialRecord, epochs: list[dict[str, Any]], layers: list[dict[str, Any]]) -> None:
        """One trial's run: ``RUNNING`` until all of it is there."""
        start, end = content.times(record)
        tags = content.tags(record) | self._experiment.writer()
        run = self._client.create_run(self._experiment.id, start, tags, run_name=content.title(record))
        name: str = run.info.run_id
        by_epoch = sorted((EpochRecord(**row) for row in epochs), key=lambda epoch: epoch.epoch)
        try:
            self._fill(name, record, list(content.metrics(record, by_epoch, layers)))
            self._client.set_terminated(name, content.run_status(record), end)
        except Away as error:
            if error.code != REFUSED or self._client.get_run(name).info.lifecycle_stage != "deleted":
                raise  # else another, who took its writer for dead, shows the trial in its place

    def _fill(self, run: str, record: TrialRecord, metrics: list[tuple[str, float, int, int]]) -> None:
        from mlflow.entities import Metric, Param

        named = content.params(self._trials[record.trial_id], self._differing)
        params = _pieces([Param(*param) for param in named.items()], PARAMS_A_CALL)
        values = _pieces([Metric(*metric) for metric in metrics], METRICS_A_CALL)
        for some_params, some_values in zip_longest(params, values, fillvalue=()):  # of most trials, all in one call
            self._client.log_batch(run, metrics=some_values, params=some_params)

    def _add_params(self, found: list[Shown], outcome: str) -> bool:
        """Say what has come to differ between trials since the run was written. Returns whether anything has."""
        from mlflow.entities import Param

        run = runs.best_first(found, outcome)[0]
        params = content.params(self._trials[run.tags[runs.TRIAL]], self._differing)
        missing = [Param(name, value) for name, value in params.items() if name not in run.params]
        for some in _pieces(missing, PARAMS_A_CALL):
            self._client.log_batch(run.run_id, params=some)
        return bool(missing)

    # what is deleted

    def _tidy(self, found: Mapping[str, list[Shown]], wanted: Mapping[str, str]) -> None:
        """Leave one run a trial, and none that nobody ends."""
        for name, of_trial in found.items():
            if name in wanted:
                self._experiment.delete(runs.best_first(of_trial, wanted[name])[1:])
            else:  # exported by another launch, maybe, from another machine
                self._experiment.delete(
                    run for run in of_trial if run.is_half_written and run.age > runs.FORGOTTEN_SECONDS
                )


def _shows(found: Iterable[Shown], outcome: str) -> bool:
    return any(run.shows(outcome) for run in found)


def _by_trial(rows: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["trial_id"], []).append(row)
    return found


def _pieces(items: list[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while piece := list(islice(rest, size)):
        yield piece
