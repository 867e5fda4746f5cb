"""A sweep from config to finished store: what is missing is run, mirrored in MLflow, and counted."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console

import pruning
from sweep.config import SweepConfig, TrialConfig, trial_from
from sweep.errors import InputError
from sweep.grid import expand, title, trial_id
from sweep.progress import Progress
from sweep.records import COMPLETED, INTERRUPTED, STATUSES, EpochRecord, Outcome, TrialRecord
from sweep.report import write_report
from sweep.store import Store
from sweep.tracking import Exporter
from sweep.trial import build_network, run_trial
from sweep.watch import Engine, Stop, Watcher, Watchers
from training import allocator, data

MISSING = "missing"


@dataclass(frozen=True)
class Plan:
    """What a sweep asks for and what of it is still to be done."""

    sweep: SweepConfig
    trials: dict[str, TrialConfig]
    todo: dict[str, TrialConfig]

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
        """0 all done, 1 some trials are not, 130 or 143 stopped by Ctrl-C or SIGTERM."""
        if self.signal is not None:
            return 128 + self.signal
        return 0 if set(self.statuses) <= {COMPLETED} else 1


def plan(sweep: SweepConfig, store: Store) -> Plan:
    """The sweep's trials, less those that the store has completed."""
    trials = {trial_id(trial): trial for trial in expand(sweep)}
    done = store.completed(trials)
    return Plan(sweep, trials, {name: trial for name, trial in trials.items() if name not in done})


def run_sweep(sweep: SweepConfig, engine: Engine, console: Console) -> Summary:
    """Run what the store lacks and bring the sweep's figures up to date.

    Raises:
        InputError: the data is not there, or the machine cannot give what a trial asks for. Nothing is written.
    """
    store = Store(sweep.store)
    planned = plan(sweep, store)
    if planned.todo:
        prunable_weights(sweep)
        check_networks(sweep)
        check_data(sweep)
        store.check_writable()
        console.print(
            f"{sweep.name}: {len(planned.trials)} trials, {planned.done} completed, {len(planned.todo)} to run"
        )
    stop, progress = Stop(), Progress(planned.trials, planned.done, store, console)
    with ExitStack() as stack:
        watchers: list[Watcher] = [progress]
        exporter = None
        if sweep.tracking.enabled and planned.trials:
            exporter = stack.enter_context(Exporter(sweep, store))
            watchers.append(exporter)
        if planned.todo:
            with stop.listening(), progress, _data_errors():
                engine(sweep, list(planned.todo.values()), store, Watchers(watchers), stop)
        if exporter is not None and not stop.requested:  # with nothing new to show, it still exports what MLflow lacks
            exporter.add_artifacts(_report(planned, store) if planned.todo else [])
    return Summary(len(planned.todo), count(planned.trials, store), stop.signal)


def check_data(sweep: SweepConfig) -> None:
    """Make sure the images are there before anything starts."""
    with _data_errors():
        data.check(sweep.data)


@contextmanager
def _data_errors() -> Iterator[None]:
    """Data that is not what it should be is the user's to mend."""
    try:
        yield
    except data.DataError as error:
        raise InputError(f"data.{error}") from None


def prunable_weights(sweep: SweepConfig) -> dict[str, int]:
    """Prunable weights by architecture label, counted without allocating them.

    Raises:
        InputError: an architecture that cannot be built for these images, or with nothing to prune.
    """
    counts = {}
    for architecture in sweep.grid.architecture:
        with _naming(architecture.label), torch.device("meta"):
            weights = pruning.prunable(build_network(architecture, sweep.data))
            counts[architecture.label] = sum(weight.numel() for weight in weights.values())
            if not weights:
                raise ValueError("there is nothing to prune in it: no convolution and no linear layer")
    return counts


def check_networks(sweep: SweepConfig) -> None:
    """Make sure that every architecture of your own takes these images and answers with a logit a class.

    Raises:
        InputError: naming the architecture.
    """
    channels, side = data.info(sweep.data.name).channels, sweep.data.side
    for architecture in sweep.grid.architecture:
        if ":" in architecture.name:
            with _naming(architecture.label), torch.no_grad():
                model = build_network(architecture, sweep.data).eval()
                logits = model(torch.zeros(2, channels, side, side))
                shape = list(getattr(logits, "shape", [])) or type(logits).__name__
                if shape != [2, sweep.data.classes]:
                    raise ValueError(f"for 2 images it answers with {shape}, not with [2, {sweep.data.classes}] logits")


@contextmanager
def _naming(architecture: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # a network of the user's may raise anything
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        raise InputError(f"grid.architecture: {architecture}: {kind}{error}") from error


def count(trials: dict[str, TrialConfig], store: Store) -> dict[str, int]:
    """How many of the trials have which status; "missing" for those without a record."""
    rows = store.statuses(trials)
    found = Counter(rows.get(name, MISSING) for name in trials)
    return {status: found[status] for status in (*STATUSES, MISSING) if found[status]}


def report_folder(store: Store, name: str) -> Path:
    """Where a report goes unless told: inside a local store, else under ./results."""
    return (store.local or Path.cwd() / "results") / "reports" / name


def _report(planned: Plan, store: Store) -> Sequence[Path]:
    """Figures and tables of the whole grid, as far as there is anything to show."""
    try:
        return write_report([store], report_folder(store, planned.sweep.name), only=planned.trials.keys()).all
    except InputError:
        return []


def run_one(sweep: SweepConfig, beginning: str, device: str, keep: bool, console: Console) -> int:
    """Run one trial of the sweep here, printing its epochs; store it only if ``keep``. Returns the exit code.

    Raises:
        InputError: no such trial, or it would overwrite a completed one.
    """
    store = Store(sweep.store)
    trials = plan(sweep, store).trials
    matching = [name for name in trials if name.startswith(beginning)]
    if len(matching) != 1:
        many = f"is the beginning of {len(matching)} trials; give more of it"
        raise InputError(f"trial {beginning!r} {many if matching else 'is not in this sweep; see sweep plan'}")
    if keep and store.completed(matching):
        raise InputError(
            f"trial {matching[0]} is completed in {store.uri}: run it without --keep, or name another store"
        )
    threads, compact = sweep.compute.cpus_per_trial, sweep.compute.compact
    outcome = _run_here(trials[matching[0]], sweep.name, device, threads, compact, console)
    if keep:
        store.write(outcome)
    return _exit_code(outcome.trial)


def run_stored(record: TrialRecord, device: str, console: Console) -> int:
    """Run a stored trial again from its stored config, storing nothing. Returns the exit code."""
    trial = trial_from(json.loads(record.config))
    compacted = record.trained_weights is not None and record.trained_weights < (record.prunable or 0)
    again = _run_here(trial, record.sweep, device, record.threads or 1, compacted, console).trial
    if again.status == record.status == COMPLETED:
        same = again.mask_hash == record.mask_hash, again.test_accuracy == record.test_accuracy
        words = ["the same" if equal else "another" for equal in same]
        console.print(f"as stored: {words[0]} mask, {words[1]} test accuracy")
    return _exit_code(again)


def _run_here(trial: TrialConfig, sweep: str, device: str, threads: int, compact: bool, console: Console) -> Outcome:
    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise InputError(f"--device {device}: cpu, cuda or cuda:N")
    if device != "cpu" and not torch.cuda.is_available():
        raise InputError(f"--device {device}: this machine has no GPU; --device cpu does without")
    torch.set_num_threads(threads)  # results on a CPU depend on how sums are split
    allocator.keep_freed_memory()
    with _data_errors():
        data.check(trial.data)
    console.print(f"{trial_id(trial)} {title(trial)} on {device}")
    outcome = run_trial(
        trial, device=device, sweep=sweep, compact=compact, on_epoch=lambda e: console.print(_epoch_line(e))
    )
    record = outcome.trial
    if record.status == COMPLETED:
        accuracy = 100 * (record.test_accuracy or 0)
        console.print(f"test accuracy {accuracy:.2f} %, kept {record.kept:,} of {record.prunable:,}")
    else:
        console.print(record.traceback or record.status, markup=False)
    return outcome


def _exit_code(record: TrialRecord) -> int:
    return {COMPLETED: 0, INTERRUPTED: 130}.get(record.status, 1)


def _epoch_line(record: EpochRecord) -> str:
    validation = "" if record.validation_accuracy is None else f", validation {100 * record.validation_accuracy:.2f} %"
    return f"epoch {record.epoch}: loss {record.train_loss:.4f}, train {100 * record.train_accuracy:.2f} %{validation}"
