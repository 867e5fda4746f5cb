"""A sweep's experiment in MLflow: made level with the store, told by the store alone."""

import hashlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any, TypeVar

from sweep.records import EpochRecord, TrialRecord, trial_record
from sweep.store import Store
from sweep.store.leases import Launch
from sweep.tracking import content, runs
from sweep.tracking.client import EXISTS, REFUSED, Away, Client
from sweep.tracking.places import artifact_folder
from sweep.tracking.runs import Shown, shown

METRICS_A_CALL, PARAMS_A_CALL = 900, 100  # log_batch takes 1000 things, and so many parameters of them
RUNS_A_PAGE = 1000
TRIALS_A_READ = 256  # whose epochs and layers are read at once: each reading lists folders
FEW = 8  # trials whose runs are asked for one by one, rather than listing the whole experiment's

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
        self._trials, self._store, self._client, self._config = trials, store, client, config
        self._differing = content.differing(trials.values())
        self._me = Launch()
        self._experiment: str | None = None

    def level(self, among: Collection[str] | None = None, tell: Tell = lambda done, total: None) -> Tally:
        """Export what the store has of these trials, or of all, and MLflow lacks or shows differently. Once each.

        Of several runs of a trial, all but one are deleted, and so are those whose writer has died.
        """
        self._open()
        wanted = self._outcomes(self._trials if among is None else among)
        found = self._look(wanted)
        level, lacking, busy = self._sorted(wanted, found)
        for done, record in enumerate(self._export(lacking), start=1):
            wanted[record.trial_id] = content.outcome(vars(record))  # by now another, maybe
            self._delete(found.get(record.trial_id, ()))
            tell(done, len(lacking))
        amended = [name for name in level if self._add_params(found[name], wanted[name])]
        found |= self._look(lacking)
        self._tidy(found, wanted)
        exported = [name for name in lacking if _shows(found.get(name, ()), wanted[name])]
        self.is_shown.update(level, exported)
        lost = len(lacking) - len(exported)  # what was just written, another is writing in its place
        return Tally(len(exported) + len(amended), len(level) - len(amended), len(busy) + lost)

    def add_artifacts(self, paths: Sequence[Path]) -> None:
        """Put the sweep's config and these files into its own run, in the place of earlier ones of their names.

        They may have another way to MLflow than all the rest, which fails alone: a bucket, say.
        """
        self._open()
        self._on_own_run(lambda own: self._put(own, paths))

    def close(self) -> None:
        """Forget the connection and what was learned."""
        self._client.disconnect()
        self._experiment = None
        self.is_shown.clear()

    # the experiment

    def _open(self) -> None:
        """Connect, once. Creates database and experiment where there are none."""
        if self._experiment is not None:
            return
        experiment = self._client.get_experiment_by_name(self.name) or self._make_experiment()
        if experiment.lifecycle_stage == "deleted":
            self._client.restore_experiment(experiment.experiment_id)
        self._experiment = experiment.experiment_id

    def _make_experiment(self) -> Any:
        try:
            self._client.create_experiment(
                self.name, artifact_location=artifact_folder(self._client.uri, self._store, self.name)
            )
        except Away as error:
            if error.code != EXISTS:  # another launch has been quicker
                raise
        return self._client.get_experiment_by_name(self.name)

    def _on_own_run(self, do: Callable[[Shown], Any]) -> None:
        """Do something to the run of the sweep itself."""
        try:
            do(self._own_run())
        except Away as error:
            if error.code != REFUSED:
                raise
            do(self._own_run())  # another launch made one at the same time, and has deleted ours

    def _put(self, own: Shown, paths: Sequence[Path]) -> None:
        for path in paths:
            self._client.log_artifact(own.run_id, str(path))
        if self._config is None:
            return
        text = content.config_json(self._config)
        mark = hashlib.sha256(text.encode()).hexdigest()[:16]
        if own.tags.get(runs.CONFIG) != mark:
            self._client.log_text(own.run_id, text, "config.json")
            self._client.set_tag(own.run_id, runs.CONFIG, mark)

    def _own_run(self) -> Shown:
        """The run of the sweep itself, made if there is none: the first, where two launches made one each.

        Ended before it is looked for: so of several launches the last to look sees nothing but runs that have ended,
        and leaves one of them.
        """
        found = self._own_runs()
        if not found:
            tags = {runs.KIND: "sweep", "sweep.name": self.name, **self._writer()}
            made = self._client.create_run(self._experiment, tags=tags, run_name=f"sweep {self.name}")
            self._client.set_terminated(made.info.run_id)
            found = self._own_runs()
        self._delete(found[1:])
        if found[0].is_half_written:
            self._client.set_terminated(found[0].run_id)
        return found[0]

    def _own_runs(self) -> list[Shown]:
        return sorted(self._search(f"tags.`{runs.KIND}` = 'sweep'"), key=lambda run: (run.start, run.run_id))

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
            elif any(self._is_others(run) for run in of_trial):
                busy.append(name)
            else:
                lacking.append(name)
        return level, lacking, busy

    def _look(self, names: Collection[str]) -> dict[str, list[Shown]]:
        """The runs of these trials; maybe of others too."""
        if len(names) <= FEW:
            return runs.by_trial(run for name in names for run in self._search(f"tags.`{runs.TRIAL}` = '{name}'"))
        return runs.by_trial(self._search(""))

    def _search(self, condition: str) -> list[Shown]:
        found: list[Shown] = []
        token, more = None, True
        while more:
            page = self._client.search_runs([self._experiment], condition, max_results=RUNS_A_PAGE, page_token=token)
            found += map(shown, page)
            token, more = page.token, bool(page.token)
        return found

    def _is_others(self, run: Shown) -> bool:
        """Whether another launch or sync is writing the run just now."""
        return run.is_being_written and run.writer != self._me

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
        tags = content.tags(record) | self._writer()
        run = self._client.create_run(self._experiment, start, tags, run_name=content.title(record))
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

    def _writer(self) -> dict[str, str]:
        return {runs.EXPORTER: self._me.to_json(), runs.BEGAN: str(int(time.time() * 1000))}

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
                self._delete(runs.best_first(of_trial, wanted[name])[1:])
            else:  # of another store, maybe, whose launches cannot be seen from here
                self._delete(run for run in of_trial if run.is_half_written and run.age > runs.FORGOTTEN_SECONDS)

    def _delete(self, found: Iterable[Shown]) -> None:
        for run in found:
            if not self._is_others(run):
                self._client.delete_run(run.run_id)


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
