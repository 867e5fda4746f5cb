"""Trials side by side in processes of this machine: the real ones, on real digits, really killed."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sweep.config.config import SweepConfig, read_sweep
from sweep.config.grid import expand, trial_id
from sweep.config.trial_config import TrialConfig
from sweep.engines import Stop
from sweep.engines import inline as local
from sweep.engines import processes as pool
from sweep.engines.processes import starting, worker
from sweep.engines.sharing.probe import Answer
from sweep.errors import InputError
from sweep.records import EpochRecord, TrialRecord
from sweep.store import Store
from sweep.store.claims import Claims
from sweep.trial import machine
from sweep.trial.gpu_use import GpuUse
from sweep.trial.stage import Stage

pytestmark = pytest.mark.slow  # launches, trainings or processes

SPIES = """
import multiprocessing, os, signal
from pathlib import Path
from torch import nn

HERE = Path(__file__).parent

def network(classes):
    with open(HERE / "notes", "a") as notes:
        notes.write(f"{os.getpid()} {multiprocessing.get_start_method()} {os.getcwd()}" + chr(10))
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, classes))

def lost_always(classes):
    os.kill(os.getpid(), signal.SIGKILL)

def broken(classes):
    raise RuntimeError("a mistake in the network")
"""

CONFIG = """
name: tiny
data: digits
grid: {architecture: {name: vgg_digits, width: 8, depth: 4}, method: [dense, snip], sparsity: 0.9, seed: [0, 1]}
training: {epochs: 2}
compute: {max_failures: 1, cluster: here}
"""


class Heard:
    """A watcher that remembers, and does something as a trial's epoch is over."""

    def __init__(self, on_epoch: Callable[[EpochRecord], None] = lambda record: None) -> None:
        self.begun: list[str] = []
        self.epochs: list[tuple[str, int]] = []
        self.ended: list[TrialRecord] = []
        self.stages: list[Stage] = []
        self._on_epoch = on_epoch

    def preparing(self, text: str) -> None:
        pass

    def prepared(self) -> None:
        pass

    def stage(self, stage: Stage) -> None:
        self.stages.append(stage)

    def waiting(self, reason: str) -> None:
        pass

    def started(self, trial: TrialConfig) -> None:
        self.begun.append(trial_id(trial))

    def epoch(self, record: EpochRecord) -> None:
        self.epochs.append((record.trial_id, record.epoch))
        self._on_epoch(record)

    def finished(self, record: TrialRecord) -> None:
        self.ended.append(record)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to run in, with a config and networks that tell tales, and on leaving it no worker."""
    (tmp_path / "spies.py").write_text(SPIES)
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "spies", raising=False)
    yield tmp_path
    assert multiprocessing.active_children() == []
    deadline = time.monotonic() + 10  # a killed one may need a moment to be gone
    while workers_of(os.getpid()):
        assert time.monotonic() < deadline, "a worker was left behind"
        time.sleep(0.1)


def read(*settings: str) -> tuple[SweepConfig, list[TrialConfig], Store]:
    sweep = read_sweep("tiny.yaml", settings)
    return sweep, expand(sweep), Store(sweep.store)


def workers_of(process: int) -> set[int]:
    """Grandchildren of a process: its children are the server that workers are forked from, and Python's tracker."""
    return {worker for child in children(process) for worker in children(child)}


def children(process: int) -> set[int]:
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and state_and_parent(entry)[1] == process:
            found.add(int(entry.name))
    return found


def state_and_parent(entry: Path) -> tuple[str, int]:
    """("X", 0) of a process that is gone."""
    try:
        state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return "X", 0
    return state, int(parent)


def outcome_of(record: TrialRecord | None) -> tuple[Any, ...]:
    assert record is not None
    return (
        record.status,
        record.mask_hash,
        record.test_accuracy,
        record.final_weights_hash,
        record.cluster,
        record.sweep,
    )


def test_the_records_are_those_of_one_process_and_every_trial_runs_once(folder: Path) -> None:
    sweep, trials, store = read()
    reference, heard = Store(folder / "reference"), Heard()
    local.run(sweep, trials, Claims.alone(reference), Heard(), Stop())

    pool.run(sweep, trials, Claims.alone(store), heard, Stop(), jobs=2)

    ids = [trial_id(trial) for trial in trials]
    assert Counter(heard.begun) == Counter(record.trial_id for record in heard.ended) == Counter(ids)
    assert Counter(heard.epochs) == Counter((name, epoch) for name in ids for epoch in (1, 2))
    assert all(record == store.trial(record.trial_id) for record in heard.ended)
    assert [outcome_of(store.trial(name)) for name in ids] == [outcome_of(reference.trial(name)) for name in ids]
    assert {record.status for record in heard.ended} == {"completed"}
    assert len(store.masks(ids)) == len(reference.masks(ids)) and len(store.epochs(ids)) == 2 * len(ids)


def test_a_worker_that_is_killed_is_replaced_and_its_trial_starts_again(folder: Path) -> None:
    sweep, trials, store = read("grid.architecture=spies:network", "grid.seed=0,1,2", "training.epochs=20")
    killed: list[str] = []

    def kill(record: EpochRecord) -> None:
        if not killed and record.epoch == 2:
            assert len(workers_of(os.getpid())) == 2
            os.kill(int((folder / "notes").read_text().split()[0]), signal.SIGKILL)
            killed.append(record.trial_id)

    heard = Heard(kill)
    pool.run(sweep, trials, Claims.alone(store), heard, Stop(), jobs=2)

    assert set(store.statuses().values()) == {"completed"} and len(store.statuses()) == len(trials) == len(heard.ended)
    assert sorted(Counter(heard.begun).values()) == [1] * (len(trials) - 1) + [2], "one trial begins twice"
    notes = [line.split(maxsplit=1) for line in (folder / "notes").read_text().splitlines()]
    as_here = f"{multiprocessing.get_start_method()} {folder}"
    assert {how for _, how in notes} == {as_here}, "a trial is to find the folder, and start processes, as it does here"
    assert len({process for process, _ in notes}) <= 3, "workers are to be reused"


def test_a_trial_that_takes_its_worker_along_fails_and_the_others_go_on(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spies = "grid.architecture=[spies:lost_always,spies:broken,spies:network]"
    sweep, trials, store = read(spies, "grid.method=snip", "grid.seed=0")
    heard = Heard()
    pool.run(sweep, trials, Claims.alone(store), heard, Stop(), jobs=2)
    found = {record.architecture: record for record in heard.ended}
    assert {name: (record.status, record.error_type) for name, record in found.items()} == {
        "spies:network": ("completed", None),
        "spies:lost_always": ("failed", "WorkerLost"),
        "spies:broken": ("failed", "RuntimeError"),
    }
    lost = found["spies:lost_always"]
    assert lost == store.trial(lost.trial_id)
    assert (lost.sweep, lost.cluster) == ("tiny", "here")
    assert "SIGKILL" in str(lost.error_message) and "--jobs" in str(lost.error_message)
    # a lost worker gets its trial max_failures=1 more attempt, a mistake of the trial's own none
    assert Counter(heard.begun)[lost.trial_id] == 2 and len(heard.begun) == 4
    assert [record.message.endswith("it starts again") for record in caplog.records] == [True]


def test_on_request_running_trials_are_interrupted_and_waiting_ones_do_not_start(folder: Path) -> None:
    sweep, trials, store = read("training.epochs=100000")
    stop = Stop()

    def ask(record: EpochRecord) -> None:
        stop.signal = signal.SIGTERM

    heard = Heard(ask)
    pool.run(sweep, trials, Claims.alone(store), heard, stop, jobs=2)
    assert 1 <= len(heard.begun) <= 2
    assert {record.trial_id: record.status for record in heard.ended} == dict.fromkeys(heard.begun, "interrupted")
    assert store.statuses() == dict.fromkeys(heard.begun, "interrupted")


def test_an_error_in_the_driver_leaves_no_worker(folder: Path) -> None:
    sweep, trials, store = read("training.epochs=100000")

    def fail(record: EpochRecord) -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        pool.run(sweep, trials, Claims.alone(store), Heard(fail), Stop(), jobs=2)
    assert store.statuses() == {}


def test_workers_that_cannot_start_end_the_sweep(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep, trials, store = read()
    monkeypatch.setattr(worker, "work", os._exit)  # of two arguments: it raises as the worker starts
    heard = Heard()
    with pytest.raises(InputError, match=r"--jobs: each process exited with code 1 as it started"):
        pool.run(sweep, trials, Claims.alone(store), heard, Stop(), jobs=2)
    assert heard.begun == [] and store.statuses() == {}


def test_more_than_the_machine_has_is_bad_input(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "cores", lambda: 8)
    sweep, trials, store = read("compute.cpus_per_trial=3")
    with pytest.raises(InputError, match=r"--jobs 3: .* 9 of the 8 cores.*; --jobs 2 fits"):
        pool.run(sweep, trials, Claims.alone(store), Heard(), Stop(), jobs=3)
    sweep, trials, store = read("compute.gpus_per_trial=1")
    with pytest.raises(InputError, match=r"--set compute\.gpus_per_trial=0"):
        pool.run(sweep, trials, Claims.alone(store), Heard(), Stop(), jobs=2)
    assert not (folder / "results").exists()


@pytest.mark.parametrize(("cores", "cpus_per_trial", "workers"), [(4, 2, 2), (3, 2, 1)])
def test_jobs_auto_are_as_many_as_the_cores_have_room_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch, cores: int, cpus_per_trial: int, workers: int
) -> None:
    started: list[int] = []
    monkeypatch.setattr(machine, "cores", lambda: cores)
    monkeypatch.setattr(pool.Pool, "run", lambda self, jobs: started.append(jobs))
    sweep, trials, store = read(f"compute.cpus_per_trial={cpus_per_trial}")
    pool.run(sweep, trials, Claims.alone(store), Heard(), Stop(), jobs="auto")
    assert started == [workers]


def test_jobs_auto_are_as_many_as_share_the_gpus_and_have_cores(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    setups: list[worker.WorkerSetup] = []
    monkeypatch.setattr(pool, "check_device", lambda *arguments: "cuda")
    monkeypatch.setattr(starting.torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(pool, "Pool", lambda context, setup, *others: setups.append(setup) or closing_pool(jobs))
    use = GpuUse("H100", 80, 10, step_seconds=1.0, gpu_seconds=0.25)  # four share one
    monkeypatch.setattr(
        starting.probing,
        "measure",
        lambda context, setup, stop, requests: [Answer(r.subject.label, use) for r in requests],
    )
    sweep, trials, store = read("compute.gpus_per_trial=auto")
    jobs: list[int] = []
    for cores in (16, 6):
        monkeypatch.setattr(machine, "cores", lambda cores=cores: cores)
        pool.run(sweep, trials, Claims.alone(store), Heard(), Stop(), jobs="auto")
    pool.run(sweep, trials, Claims.alone(store), Heard(), Stop(), jobs=3)
    assert jobs == [8, 6, 3]
    assert [setup.settings.gpu_share for setup in setups] == [0.25, 1 / 3, 0.5]
    assert "limited by compute.cpus_per_trial=1 (6 cores); compute.gpus_per_trial=auto: 0.25 (2 GPUs)" in caplog.text


def closing_pool(jobs: list[int]) -> Any:
    return SimpleNamespace(run=jobs.append, close=lambda: None)


DRIVER = """
import sys
from sweep.engines import processes as pool
from sweep.config.config import read_sweep
from sweep.config.grid import expand
from sweep.store.claims import Claims
from sweep.store import Store
from sweep.engines import Stop

class Talker:
    def preparing(self, text): pass
    def prepared(self): pass
    def stage(self, stage): pass
    def waiting(self, reason): pass
    def started(self, trial): pass
    def epoch(self, record): print("epoch", record.epoch, flush=True)
    def finished(self, record): print(record.status, flush=True)

if __name__ == "__main__":
    sweep = read_sweep("tiny.yaml", ["training.epochs=100000"])
    stop = Stop()
    with stop.listening():
        pool.run(sweep, expand(sweep), Claims.alone(Store(sweep.store)), Talker(), stop, jobs=2)
    print("signal", stop.signal)
"""


@pytest.fixture
def driver(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A driver in a process of its own, whose first epoch is over."""
    (folder / "driver.py").write_text(DRIVER)
    process = subprocess.Popen(
        [sys.executable, "driver.py"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("epoch")
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_process_group_interrupts_in_order(
    folder: Path, driver: subprocess.Popen[str], number: int
) -> None:
    os.killpg(driver.pid, number)  # as terminals do, and job managers
    out, errors = driver.communicate(timeout=60)
    assert (driver.returncode, errors) == (0, "")
    ended = [line for line in out.splitlines() if not line.startswith("epoch")]
    assert ended[-1] == f"signal {int(number)}"
    assert 1 <= len(ended) - 1 <= 2 and set(ended[:-1]) == {"interrupted"}
    assert set(Store("results").statuses().values()) == {"interrupted"}


def test_no_trial_outlives_a_driver_that_dies(driver: subprocess.Popen[str]) -> None:
    left = children(driver.pid) | workers_of(driver.pid)
    assert len(left) >= 4  # a server, a tracker and two workers
    driver.kill()
    driver.communicate()
    deadline = time.monotonic() + 20
    while any(state_and_parent(Path(f"/proc/{process}"))[0] not in "XZ" for process in left):
        assert time.monotonic() < deadline
        time.sleep(0.1)
