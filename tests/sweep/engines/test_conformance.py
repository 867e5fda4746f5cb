"""What every engine does, checked for each: the contract of ``sweep.engines.Engine``.

The engine that prints is an example of the smallest one.
"""

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from sweep.config.config import SweepConfig, read_sweep
from sweep.config.grid import expand, title, trial_id
from sweep.config.trial_config import TrialConfig
from sweep.engines import Display, Engine, RunSettings, Stop, choose
from sweep.errors import InputError, StoreError
from sweep.records import EpochRecord, TrialRecord
from sweep.store import Store
from sweep.store.claims import Claims
from sweep.store.leases import Leases
from sweep.store.requests import Request
from sweep.trial.attempts import run_attempts
from sweep.trial.run import load_data
from sweep.trial.stage import Stage

pytestmark = pytest.mark.filterwarnings("default")  # Ray and its dependencies warn

NETWORKS = """
from torch import nn

def small(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, classes))

def broken(classes):
    raise RuntimeError("a mistake in the network")
"""
CONFIG = """
name: tiny
data: digits
grid: {architecture: "conforming:small", method: [random, snip], sparsity: 0.9, seed: [0, 1]}
training: {epochs: 2, batch_size: 256}
compute: {max_failures: 0}
"""


def printing(sweep: SweepConfig, trials: Sequence[TrialConfig], claims: Claims, watcher: Display, stop: Stop) -> None:
    """An engine that prints each trial and runs it in this process."""
    settings, dataset = RunSettings.of(sweep, "cpu"), load_data(sweep)
    for trial in trials:
        if not stop.may_start or not claims.take(trial_id(trial)):
            continue
        print(title(trial))
        watcher.started(trial)
        outcome = run_attempts(
            trial,
            dataset,
            settings,
            on_epoch=watcher.epoch,
            on_stage=watcher.stage,
            stopping=lambda: stop.requested,
            checkpoints=claims,
        )
        watcher.finished(claims.write(outcome))


ENGINES: dict[str, Callable[[], Engine]] = {
    "printing": lambda: printing,
    "inline": lambda: choose(local=True),
    "processes": lambda: choose(local=True, jobs=2),
    "ray": lambda: choose(),
}


class Recorder:
    """A watcher that remembers, in order, and calls a function after each epoch."""

    def __init__(self, on_epoch: Callable[[EpochRecord], None] = lambda record: None) -> None:
        self.events: list[tuple[str, str]] = []  # what happened, and the trial's id
        self.records: dict[str, TrialRecord] = {}
        self._on_epoch = on_epoch
        self.texts: list[str] = []
        self.stages: list[Stage] = []

    def preparing(self, text: str) -> None:
        self.texts.append(text)

    def prepared(self) -> None:
        pass

    def stage(self, stage: Stage) -> None:
        self.stages.append(stage)

    def waiting(self, reason: str) -> None:
        pass

    def started(self, trial: TrialConfig) -> None:
        self.events.append(("started", trial_id(trial)))

    def epoch(self, record: EpochRecord) -> None:
        self.events.append(("epoch", record.trial_id))
        self._on_epoch(record)

    def finished(self, record: TrialRecord) -> None:
        self.events.append(("finished", record.trial_id))
        assert record.trial_id not in self.records
        self.records[record.trial_id] = record

    def trials(self, event: str) -> list[str]:
        return [name for happened, name in self.events if happened == event]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """The working folder, with networks; its path is short because Ray's sockets are in it."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(dir="/tmp") as name:
        made = Path(name)
        (made / "conforming.py").write_text(NETWORKS)
        (made / "tiny.yaml").write_text(CONFIG)
        patch.chdir(made)
        patch.syspath_prepend(str(made))
        patch.delitem(sys.modules, "conforming", raising=False)
        patch.setenv("RAY_TMPDIR", name)
        yield made


def read(folder: Path, *settings: str) -> tuple[SweepConfig, list[TrialConfig], Store]:
    """The sweep, its trials and an empty store."""
    shutil.rmtree(folder / "results", ignore_errors=True)
    sweep = read_sweep(folder / "tiny.yaml", settings)
    return sweep, expand(sweep), Store(sweep.store)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.slow
class TestEngine:
    """Ray takes seconds to start, so each test checks several sentences of the contract."""

    def test_trials_end_with_records_but_those_of_other_launches(self, name: str, folder: Path) -> None:
        sweep, trials, store = read(folder, "grid.architecture=[conforming:small, conforming:broken]", "grid.seed=0")
        ids = [trial_id(trial) for trial in trials]
        broken = {trial_id(trial) for trial in trials if "broken" in trial.architecture.label}
        taken, recorder, stop = ids[0], Recorder(), Stop()
        assert taken not in broken
        with Leases(store.files).held() as others, Leases(store.files).held() as mine:
            assert Claims(store, others, {}).take(taken)
            ENGINES[name]()(sweep, trials, Claims(store, mine, {}), recorder, stop)
            assert set(mine.running()) == {taken}, "finished trials are released"
        mine_alone = set(ids) - {taken}
        assert store.statuses() == {trial: "failed" if trial in broken else "completed" for trial in mine_alone}
        assert recorder.records == {trial: store.trial(trial) for trial in mine_alone}
        assert all("a mistake" in str(recorder.records[trial].error_message) for trial in broken)
        assert {record.sweep for record in recorder.records.values()} == {"tiny"}
        assert sorted(set(recorder.trials("started")) - {taken}) == sorted(mine_alone)
        assert set(recorder.trials("epoch")) == mine_alone - broken, "epochs reach the watcher"
        for trial in mine_alone:
            events = [event for event, of in recorder.events if of == trial]
            assert (events[0], events[-1]) == ("started", "finished")
        assert not stop.requested
        if name != "printing":
            assert any("reading digits" in text for text in recorder.texts)
        assert {stage.trial_id for stage in recorder.stages} <= mine_alone | {taken}
        assert {stage.images for stage in recorder.stages} <= {1437}

    def test_a_stop_interrupts_running_trials_with_a_checkpoint_and_starts_no_other(
        self, name: str, folder: Path
    ) -> None:
        sweep, trials, store = read(folder, "training.epochs=1000000")
        stop = Stop()
        recorder = Recorder(lambda record: stop.request(signal.SIGUSR1))
        before = signal.getsignal(signal.SIGUSR1)
        try:
            ENGINES[name]()(sweep, trials, Claims.alone(store), recorder, stop)
        finally:
            signal.signal(signal.SIGUSR1, before)
        started = set(recorder.trials("started"))
        assert 1 <= len(started) < len(trials)
        assert store.statuses() == dict.fromkeys(started, "interrupted")
        assert set(recorder.records) == started
        # one that was stopped before its first step has nothing to go on from
        assert set(recorder.trials("epoch")) <= store.checkpoints() <= started

    def test_after_a_request_to_stop_running_trials_end_and_no_other_starts(self, name: str, folder: Path) -> None:
        sweep, trials, store = read(folder, "training.epochs=60", "grid.seed=[0, 1, 2, 3, 4, 5]")
        stop = Stop()
        recorder = Recorder(lambda record: stop.ask(Request("stop", "a test")))
        ENGINES[name]()(sweep, trials, Claims.alone(store), recorder, stop)
        assert not stop.may_start and not stop.requested
        started = set(recorder.trials("started"))
        assert 1 <= len(started) < len(trials)
        assert store.statuses() == dict.fromkeys(recorder.records, "completed")
        assert set(recorder.trials("epoch")) <= set(recorder.records) <= started

    def test_a_store_error_is_told_to_stop_or_raised(self, name: str, folder: Path) -> None:
        sweep, trials, store = read(folder)

        def break_store(record: EpochRecord) -> None:
            (folder / "results/trials").write_text("a file where the store has a folder")

        recorder, stop, raised = Recorder(break_store), Stop(), None
        try:
            ENGINES[name]()(sweep, trials, Claims.alone(store), recorder, stop)
        except StoreError as error:
            raised = error
        assert isinstance(stop.error or raised, StoreError)
        assert recorder.records == {}

    def test_no_trials_is_no_error(self, name: str, folder: Path) -> None:
        sweep, _, store = read(folder)
        recorder = Recorder()
        ENGINES[name]()(sweep, [], Claims.alone(store), recorder, Stop())
        assert recorder.events == [] and not os.path.exists(folder / "results")


def test_the_smallest_engine_prints_each_trial(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep, trials, store = read(folder)
    printing(sweep, trials, Claims.alone(store), Recorder(), Stop())
    assert capsys.readouterr().out.splitlines() == [title(trial) for trial in trials]


def test_options_that_contradict_each_other_choose_no_engine() -> None:
    with pytest.raises(InputError, match="--local runs without Ray"):
        choose(local=True, address="auto")
    with pytest.raises(InputError, match="--jobs 2 is for --local"):
        choose(jobs=2)
