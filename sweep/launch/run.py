"""Run a sweep: what the store lacks is run, tracked, counted and reported."""

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace

from rich.console import Console

from sweep.config.config import SweepConfig
from sweep.engines import Engine, Stop, Watchers
from sweep.errors import StoreError
from sweep.launch.budget.budget import budget, check_cost
from sweep.launch.dispatch import Dispatcher
from sweep.launch.failure_streak import FailureStreak
from sweep.launch.finish import draw_report, drop_leftover_checkpoints, fold_if_slow
from sweep.launch.order import longest_first
from sweep.launch.plan import Plan, plan, record_sweep
from sweep.launch.preflight import check_grid, check_launch, data_errors, files_read
from sweep.launch.progress import open_progress
from sweep.launch.requests import heeded
from sweep.records import COMPLETED, STATUSES
from sweep.store import Store
from sweep.store.estimates import COLUMNS as DEVIATION_COLUMNS
from sweep.store.estimates import Deviation, deviation
from sweep.store.leases import Launch, Leases
from sweep.store.requests import Request, Requests
from sweep.store.status import MISSING
from sweep.text import duration
from sweep.tracking import open_tracker

ASKED_TO_END = 3  # exit code


@dataclass(frozen=True)
class Summary:
    """How a launch ended.

    Attributes:
        ran: how many trials ended in it.
        statuses: the sweep's trials counted by status, "missing" included.
        signal: the signal that stopped it, if one did.
        asked: the request of ``sweep stop`` or ``sweep cancel`` that ended it, if one did.
        preemptions: how often machines were taken away from its trials, which then went on elsewhere.
        deviation: how far its estimate was off; None where it had none, or no trial completed.
    """

    ran: int
    statuses: dict[str, int]
    signal: int | None
    asked: Request | None = None
    preemptions: int = 0
    deviation: Deviation | None = None

    @property
    def was_stopped(self) -> bool:
        """Whether a signal or a request ended it."""
        return self.signal is not None or self.asked is not None

    @property
    def exit_code(self) -> int:
        """0: all completed; 1: some are not; 3: some are not, after ``sweep stop`` or ``sweep cancel``; 130, 143, 129:
        stopped by Ctrl-C, SIGTERM, a hang-up."""
        if self.signal is not None:
            return 128 + self.signal
        if set(self.statuses) <= {COMPLETED}:
            return 0
        return 1 if self.asked is None else ASKED_TO_END


def run_sweep(
    sweep: SweepConfig,
    engine: Engine,
    console: Console,
    on_prepared: Callable[[Launch], None] = lambda launch: None,
    max_cost: float | None = None,
) -> Summary:
    """Run the trials of a sweep that its store lacks, after checking its grid and its cost. See :func:`run_plan`.

    Args:
        sweep: the sweep.
        engine: that runs its trials.
        console: for what happens.
        on_prepared: as of :func:`run_plan`.
        max_cost: dollars that its trials may cost; None: any number.
    """
    store = Store(sweep.store)
    planned = plan(sweep, store)
    if planned.todo:
        networks, warnings = check_grid(sweep)
        for warning in warnings:
            console.print(f"warning: {warning}", markup=False, soft_wrap=True)
        found = budget(planned, store, networks)
        if max_cost is not None:
            check_cost(found, max_cost)
        if found.seconds is not None:
            low, expected, high = map(duration, found.seconds)
            console.print(f"expected: {expected} of trial time ({low} to {high})", markup=False)
        todo = longest_first(planned.todo, found.lengths)
        planned = replace(planned, todo=todo, estimate=found.launch_estimate)
    return run_plan(planned, store, engine, console, on_prepared)


def run_plan(
    planned: Plan,
    store: Store,
    engine: Engine,
    console: Console,
    on_prepared: Callable[[Launch], None] = lambda launch: None,
) -> Summary:
    """Run the trials of a plan that are left, track them, and draw the report.

    Trials that other launches run are waited for, and run here if those launches do not end them. ``on_prepared`` is
    called once all checks have passed, unless there is nothing to run.

    Raises:
        InputError: the data is missing, or the machine lacks what a trial needs. Nothing is written. Or a machine of
            the cluster has other code or images than this one; finished trials are in the store.
        StoreError: the store is full or unreachable. Finished trials are in it.
        GpuError: the GPU cannot be used any more.
    """
    sweep, stop = planned.sweep, Stop()
    check_launch(planned, store)
    if planned.todo:
        _announce(planned, store, console)
    progress = open_progress(planned.trials, planned.todo, store, console, stop)
    dispatcher = Dispatcher(planned, store, stop, progress)
    with ExitStack() as stack:
        tracker = stack.enter_context(closing(open_tracker(sweep, planned.trials, store, is_whole=planned.is_whole)))
        if planned.todo:
            streak = FailureStreak(stop, sweep.compute.stop_after)
            held = Leases(store.files, Launch(sweep.name)).held(lambda: progress.tally.waiting_line)
            leases = stack.enter_context(held)
            watcher = Watchers([progress, dispatcher, streak, tracker], lambda: on_prepared(leases.launch))
            requests = heeded(Requests(store.files), leases.launch, stop, progress.say)
            with stop.listening(), progress, requests, data_errors():
                dispatcher.run(engine, watcher, leases)
        else:
            _record_again(planned, store, console)
        if stop.error is not None:
            raise stop.error
        if stop.reason is not None:
            console.print(stop.reason, markup=False, soft_wrap=True)
        if not stop.requested:
            drop_leftover_checkpoints(planned, store)
            fold_if_slow(store, console)  # before the report reads all trials
            tracker.add_artifacts(draw_report(planned, store, console))
    deviation = _deviation(planned, store)
    counts = _count_by_status(planned, store)
    return Summary(len(dispatcher.ran), counts, stop.signal, stop.asked, progress.tally.preemptions, deviation)


def _announce(planned: Plan, store: Store, console: Console) -> None:
    name = planned.sweep.name
    console.print(f"{name}: {len(planned.trials)} trials, {planned.done} completed, {len(planned.todo)} to run")
    if files := files_read(planned.sweep):
        console.print(f"data: {files}", markup=False, soft_wrap=True)
    for file in store.set_aside():
        console.print(f"could not be read and is set aside: {file}", markup=False)


def _deviation(planned: Plan, store: Store) -> Deviation | None:
    """How far the estimate of this launch was off."""
    if planned.estimate is None:
        return None
    record = next((record for record in store.sweeps() if record.name == planned.sweep.name), None)
    if record is None:
        return None
    return deviation(record, store.trials(planned.todo, DEVIATION_COLUMNS).to_pylist())


def _record_again(planned: Plan, store: Store, console: Console) -> None:
    """Record the sweep where no trial is left to run. An error is only printed: all its results are there."""
    try:
        record_sweep(planned, store)
    except StoreError as error:
        console.print(f"this launch is not recorded: {error}", markup=False)


def _count_by_status(planned: Plan, store: Store) -> dict[str, int]:
    """The plan's trials counted by status; "missing" are those without a record."""
    statuses = store.statuses(planned.trials)
    counted = Counter(statuses.get(name, MISSING) for name in planned.trials)
    return {status: counted[status] for status in (*STATUSES, MISSING) if counted[status]}
