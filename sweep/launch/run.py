"""A sweep from config to finished store: what is missing is run, mirrored in MLflow, and counted."""

import socket
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from sweep.config import fingerprints
from sweep.config.config import SweepConfig
from sweep.config.grid import expand, trial_id
from sweep.config.remarks import config_warnings
from sweep.config.trial_config import TrialConfig, canonical
from sweep.engines import Engine, Stop, Watcher, Watchers
from sweep.errors import InputError, StoreError
from sweep.launch.duplicates import check_sparsities
from sweep.launch.failure_streak import FailureStreak
from sweep.launch.images import check_same, check_there, data_errors, files_read
from sweep.launch.progress import Progress
from sweep.records import COMPLETED, STATUSES, EpochRecord, SweepRecord, TrialRecord, trial_record
from sweep.report import report_folder, write_report
from sweep.store import Store
from sweep.store.claims import Claims, has_ended
from sweep.store.folding import fold, is_slow
from sweep.store.leases import Launch, Leases
from sweep.store.status import MISSING
from sweep.store.sweeps import COLUMNS, trials_by_sweep
from sweep.text import one_line, redacted
from sweep.tracking import Exporter
from sweep.trial import provenance
from sweep.trial.networks import network_warnings, summaries

LOOK_SECONDS = 2.0  # between two looks at what other launches are at


@dataclass(frozen=True)
class Plan:
    """What a sweep asks for and what of it is still to be done.

    Attributes:
        outcomes: which outcome of each trial the store had, as :meth:`Store.outcomes` names them.
        is_whole: whether ``trials`` are all that the sweep asks for.
        anew: whether they begin anew where they have checkpoints.
    """

    sweep: SweepConfig
    trials: dict[str, TrialConfig]
    todo: dict[str, TrialConfig]
    outcomes: dict[str, str]
    is_whole: bool = True
    anew: bool = False

    @property
    def done(self) -> int:
        """Trials that the store has already."""
        return len(self.trials) - len(self.todo)


@dataclass(frozen=True)
class Summary:
    """How a launch ended."""

    ran: int
    statuses: dict[str, int]  # of all the sweep's trials: the record's statuses and "missing"
    signal: int | None

    @property
    def exit_code(self) -> int:
        """0 all done, 1 some trials are not, 130, 143, 129 stopped by Ctrl-C, SIGTERM, a terminal that hung up."""
        if self.signal is not None:
            return 128 + self.signal
        return 0 if set(self.statuses) <= {COMPLETED} else 1


def plan(sweep: SweepConfig, store: Store) -> Plan:
    """The sweep's trials, less those that the store has completed.

    Raises:
        InputError: trials on your own images, which are not here, without their fingerprint.
    """
    fingerprints.check_known(sweep.data)
    trials = {trial_id(trial): trial for trial in expand(sweep)}
    outcomes = store.outcomes(trials)
    done = {name for name, outcome in outcomes.items() if outcome.split()[0] == COMPLETED}
    return Plan(sweep, trials, {name: trial for name, trial in trials.items() if name not in done}, outcomes)


def run_sweep(sweep: SweepConfig, engine: Engine, console: Console) -> Summary:
    """Run what the store lacks of a sweep and bring its figures up to date. As :func:`run_plan`."""
    store = Store(sweep.store)
    planned = plan(sweep, store)
    if planned.todo:
        networks = summaries(sweep)
        check_sparsities(sweep, {label: network.prunable for label, network in networks.items()})
        for warning in (*config_warnings(sweep), *network_warnings(networks)):
            console.print(f"warning: {warning}", markup=False, soft_wrap=True)
    return run_plan(planned, store, engine, console)


def run_plan(planned: Plan, store: Store, engine: Engine, console: Console) -> Summary:
    """Run what is to be done, but for what other launches do; wait for that, and take over what they do not end.

    Raises:
        InputError: the data is not there, or the machine cannot give what a trial asks for. Nothing is written.
        StoreError: the store is full or gone. What has ended is in it.
    """
    sweep = planned.sweep
    if planned.todo:
        check_there(sweep)
    check_same(sweep, planned.trials, store)
    if planned.todo:
        store.check_writable()
        console.print(
            f"{sweep.name}: {len(planned.trials)} trials, {planned.done} completed, {len(planned.todo)} to run"
        )
        if files := files_read(sweep):
            console.print(f"data: {files}", markup=False, soft_wrap=True)
        for name in store.set_aside():
            console.print(f"could not be read and is set aside: {name}", markup=False)
    stop = Stop()
    progress = Progress(planned.trials, planned.done, store, console, stop)
    account = _Account(planned, store, stop)
    with ExitStack() as stack:
        watchers: list[Watcher] = [progress, account, FailureStreak(stop, sweep.compute.stop_after)]
        exporter = None
        if sweep.tracking.enabled and planned.trials:
            exporter = stack.enter_context(Exporter(sweep, planned.trials, store, is_whole=planned.is_whole))
            watchers.append(exporter)
        if not planned.todo:
            try:
                write_down(planned, store)
            except StoreError as error:  # all that was asked for is there
                console.print(f"this launch is not noted: {error}", markup=False)
        else:
            leases = stack.enter_context(Leases(store.files).held())
            with stop.listening(), progress, data_errors():
                _run_all(planned, store, leases, engine, Watchers(watchers), progress, account, stop)
        if stop.error is not None:
            raise stop.error
        if stop.reason is not None:
            console.print(stop.reason, markup=False, soft_wrap=True)
        if not stop.requested:
            _fold(store, console)  # before all trials are read
            figures = _report(planned, store, console)
            if exporter is not None:  # with nothing new to show, it still exports what MLflow lacks
                exporter.add_artifacts(figures)
    return Summary(len(account.ended), count(planned.trials, store), stop.signal)


def _fold(store: Store, console: Console) -> None:
    """Fold a store of many small files. Prints one line; whatever fails, the launch has ended well."""
    try:
        if is_slow(store):
            told = f"folding the many small files of {store.name} into a few, as sweep compact does"
            console.print(told, markup=False, soft_wrap=True)
            fold(store)
    except (Exception, KeyboardInterrupt) as error:
        reason = one_line(redacted(str(error))) or type(error).__name__
        console.print(f"not folded, the store is as it was: {reason}", markup=False, soft_wrap=True)


class _Account:
    """A watcher that writes the sweep down when its first trial starts, and notes which have ended."""

    def __init__(self, planned: Plan, store: Store, stop: Stop):
        self.ended: set[str] = set()
        self._planned, self._store, self._stop = planned, store, stop
        self._written = False

    def started(self, trial: TrialConfig) -> None:
        """It can start, then: what cannot leaves nothing behind."""
        if not self._written:
            self._written = True
            try:
                write_down(self._planned, self._store)
            except StoreError as error:
                self._stop.fail(error)

    def epoch(self, record: EpochRecord) -> None:
        """Nothing."""

    def finished(self, record: TrialRecord) -> None:
        """Note it."""
        self.ended.add(record.trial_id)


def _run_all(
    planned: Plan,
    store: Store,
    leases: Leases,
    engine: Engine,
    watch: Watchers,
    progress: Progress,
    account: _Account,
    stop: Stop,
) -> None:
    """Hand out to the engine what nobody else has, until there is nothing left to wait for."""
    claims = Claims(store, leases, planned.outcomes, planned.todo if planned.anew else ())
    left, told, idle = dict(planned.todo), False, 0
    while left and not stop.requested and idle < 2:
        before = len(left)
        while left and not stop.requested:  # before an engine starts, reads the data and finds nothing to run
            for record in _ended_elsewhere(left, planned, store):
                progress.finished(record)
                del left[record.trial_id]
            others = {name: who for name, who in leases.running().items() if name in left and who != leases.launch}
            if len(others) < len(left) or not left:  # there are some that nobody has, or none any more
                break
            if not told:
                progress.say(_waiting(others))
                told = True
            time.sleep(LOOK_SECONDS)
        if left and not stop.requested:
            engine(planned.sweep, list(left.values()), claims, watch, stop)
            left = {name: trial for name, trial in left.items() if name not in account.ended}
        idle = idle + 1 if len(left) == before else 0


def _ended_elsewhere(left: Mapping[str, TrialConfig], planned: Plan, store: Store) -> list[TrialRecord]:
    """Records of trials that another launch has ended since they were planned."""
    outcomes = store.outcomes(left)
    new = [name for name, outcome in outcomes.items() if has_ended(outcome, planned.outcomes.get(name))]
    return [trial_record(row) for row in store.trials(new).to_pylist()] if new else []


def _waiting(others: Mapping[str, Launch]) -> str:
    who = ", ".join(sorted({str(launch) for launch in others.values()}))
    return f"waiting for {len(others)} trials that another launch runs ({who})"


def write_down(planned: Plan, store: Store) -> None:
    """Store what the sweep asks for: enough to tell what is missing, and to launch again. Nothing, if it is there.

    Raises:
        StoreError: the store is full or gone.
    """
    sweep, trials = planned.sweep, tuple(planned.trials)
    if not planned.is_whole or not trials:
        return
    config = canonical(sweep.as_dict())
    old = next((each for each in store.sweeps() if each.name == sweep.name), None)
    if old is None or (old.config, old.trials) != (config, trials):
        before = dict.fromkeys([*old.trials, *(old.earlier or ())]) if old else {}
        earlier = tuple(name for name in before if name not in planned.trials)
        now, versions = datetime.now(UTC), provenance.code()["versions"]
        store.write_sweep(SweepRecord(sweep.name, config, trials, now, socket.gethostname(), versions, earlier))


def ids_of(sweep: SweepConfig, store: Store) -> tuple[list[str], str]:
    """Ids of the trials of a sweep. Where its own images are not here: those of its last launch, and a note on that.

    Raises:
        InputError: its own images are not here, and it was not launched into this store.
    """
    if fingerprints.is_unknown(sweep.data):
        launched = next((record for record in store.sweeps() if record.name == sweep.name), None)
        if launched is not None:
            when = f"{launched.launched:%Y-%m-%d %H:%M} UTC"
            note = f"no images in {redacted(sweep.data.path)!r}: these are the trials of the launch of {when}"
            return list(launched.trials), note
    return list(plan(sweep, store).trials), ""


def count(trials: dict[str, TrialConfig], store: Store) -> dict[str, int]:
    """How many of the trials have which status; "missing" for those without a record."""
    rows = store.statuses(trials)
    found = Counter(rows.get(name, MISSING) for name in trials)
    return {status: found[status] for status in (*STATUSES, MISSING) if found[status]}


def _report(planned: Plan, store: Store, console: Console) -> Sequence[Path]:
    """Draw the report of the whole sweep, unless nothing ran and there is one. Its files; a failure only prints why."""
    name, rows = planned.sweep.name, store.trials(columns=[*COLUMNS, "status"])
    trials = {*trials_by_sweep(store.sweeps(), rows).get(name, ()), *planned.trials}
    statuses = zip(rows["trial_id"].to_pylist(), rows["status"].to_pylist(), strict=True)
    if not any(trial in trials and status == COMPLETED for trial, status in statuses):
        return []
    try:
        folder = report_folder(store, name)
        if not planned.todo and (folder / "summary.md").exists():
            return []
        return write_report([store], folder, sweep=name, only=trials).all
    except (InputError, OSError) as error:
        console.print(f"no report was drawn: {one_line(str(error))}", markup=False)
        return []
