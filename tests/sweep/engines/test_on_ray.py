"""The engine on Ray: real clusters, real digits, real kills."""

import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.fs
import pytest
from PIL import Image

from sweep import imports
from sweep.config.config import SweepConfig, read_sweep
from sweep.config.grid import expand, trial_id
from sweep.config.trial_config import TrialConfig
from sweep.engines import RunSettings, Stop
from sweep.engines import on_ray as launch
from sweep.errors import InputError
from sweep.records import EpochRecord, Outcome, TrialRecord
from sweep.store import Store
from sweep.store.claims import Claims
from sweep.trial.record_fields import config_fields
from sweep.trial.stage import Stage
from training import data

# Ray and what it imports warn of their own affairs
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

SPIES = """
import gc, json, os, signal
from pathlib import Path
from torch import nn
from training.data import Dataset

HERE = Path(__file__).parent

def note(name):
    gc.unfreeze()  # a worker takes what it began with out of what is collected, and listed
    arrays = [o.train_images.flags for o in gc.get_objects() if type(o) is Dataset]
    shared = bool(arrays) and not any(flags.writeable or flags.owndata for flags in arrays)
    facts = {"name": name, "pid": os.getpid(), "shared": shared}
    with open(HERE / "notes", "a") as notes:
        notes.write(json.dumps(facts) + chr(10))

class Leaves(nn.Identity):
    def forward(self, images):
        if self.training and len(images) > 2:  # and not where the plan tries it
            raise SystemExit(0)
        return images

def plain(classes):
    note("plain")
    return network(classes)

def network(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, classes))

def colors(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 16), nn.ReLU(), nn.Linear(16, classes))

def lost_once(classes):
    first = not HERE.joinpath("killed").exists()
    HERE.joinpath("killed").touch()
    if first:
        os.kill(os.getpid(), signal.SIGKILL)
    note("lost_once")
    return network(classes)

def lost_always(classes):
    note("lost_always")
    os.kill(os.getpid(), signal.SIGKILL)

def leaves(classes):
    note("leaves")
    return nn.Sequential(Leaves(), network(classes))

def exits(classes):
    note("exits")
    os._exit(3)

def broken(classes):
    note("broken")
    raise RuntimeError("a mistake in the network")
"""

CONFIG = """
data: digits
grid: {architecture: "spies:plain", method: snip, sparsity: 0.9, seed: 0}
training: {epochs: 2, batch_size: 64}
compute: {max_failures: 1}
"""


class Heard:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.epochs: list[EpochRecord] = []
        self.ended: list[TrialRecord] = []
        self.stages: list[Stage] = []

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
        self.epochs.append(record)

    def finished(self, record: TrialRecord) -> None:
        self.ended.append(record)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to run in, with a config and networks that tell tales, and a short one for Ray's scratch."""
    scratch = tempfile.mkdtemp(prefix="t", dir="/tmp")
    monkeypatch.setenv("RAY_TMPDIR", scratch)
    (tmp_path / "spies.py").write_text(SPIES)
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "spies", raising=False)
    yield tmp_path
    shutil.rmtree(scratch, ignore_errors=True)


def read(folder: Path, *settings: str) -> SweepConfig:
    return read_sweep(folder / "tiny.yaml", [f"store={folder / 'results'}", *settings])


def title_of(process: int) -> str:
    """A process's command line; empty if it is gone."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def ray_processes() -> set[int]:
    """This test process's Ray: descendants of it that belong to one."""
    parents = {int(entry.name): entry for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    family, grown = {os.getpid()}, True
    while grown:
        found = {process for process, entry in parents.items() if parent_of(entry) in family}
        grown, family = not found <= family, family | found
    return {process for process in family if re.search(r"gcs_server|raylet|^ray::", title_of(process))}


def parent_of(entry: Path) -> int | None:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def test_every_trial_runs_once_and_failure_is_a_record(folder: Path) -> None:
    (folder / "pruning").mkdir()  # names that people of this trade give their own: workers import ours all the same
    for name in ("sweep.py", "training.py"):
        (folder / name).write_text("raise SystemError('of the working folder')")
    spies = "[spies:plain,spies:lost_once,spies:lost_always,spies:broken,spies:leaves,spies:exits]"
    sweep = read(folder, f"grid.architecture={spies}")
    trials, store, heard = expand(sweep), Store(sweep.store), Heard()
    before, handler = set(os.listdir(folder)), signal.getsignal(signal.SIGTERM)

    launch.run(sweep, trials, Claims.alone(store), heard, Stop())

    assert Counter(record.trial_id for record in heard.ended) == Counter(map(trial_id, trials))
    assert all(record == store.trial(record.trial_id) for record in heard.ended)
    by_network: dict[str, set[tuple[str, str | None]]] = {}
    for record in heard.ended:
        by_network.setdefault(record.architecture, set()).add((record.status, record.error_type))
    assert by_network == {
        "spies:plain": {("completed", None)},
        "spies:lost_once": {("completed", None)},  # killed, and started again
        "spies:lost_always": {("failed", "WorkerLost")},
        "spies:broken": {("failed", "RuntimeError")},
        "spies:leaves": {("failed", "SystemExit")},
        "spies:exits": {("failed", "WorkerLost")},
    }
    said = {record.architecture: record.error_message for record in heard.ended}
    assert said["spies:exits"] == "its process exited with code 3" and "often memory" in said["spies:lost_always"]
    notes = [json.loads(line) for line in (folder / "notes").read_text().splitlines()]
    # lost workers and a trial's own mistakes both get max_failures=1 more attempt
    assert Counter(note["name"] for note in notes) == {
        "plain": 1, "lost_once": 1, "lost_always": 2, "broken": 2, "leaves": 2, "exits": 2,
    }  # fmt: skip
    assert all(note["shared"] for note in notes), "the data set is to lie in shared memory"
    assert len({note["pid"] for note in notes}) < len(notes), "workers are to be reused"
    assert {record.cluster for record in heard.ended} == {socket.gethostname()}
    assert {epoch.trial_id for epoch in heard.epochs} == set(store.completed())
    assert set(heard.begun) == set(map(trial_id, trials))
    assert signal.getsignal(signal.SIGTERM) is handler
    assert not ray_processes()
    assert not os.listdir(os.environ["RAY_TMPDIR"])
    assert set(os.listdir(folder)) - before <= {"results", "notes", "killed", "__pycache__"}
    assert (Path.home() / ".ray" / "auth_token").stat().st_mode & 0o077 == 0


def test_more_gpu_than_there_is_is_bad_input_and_leaves_nothing(folder: Path) -> None:
    sweep, heard = read(folder, "compute.gpus_per_trial=0.5"), Heard()
    with pytest.raises(InputError, match=r"0\.5 GPU .* --set compute\.gpus_per_trial=0"):
        launch.run(sweep, expand(sweep), Claims.alone(Store(sweep.store)), heard, Stop())
    assert not heard.begun and not (folder / "results").exists() and not ray_processes()


def test_a_worker_that_cannot_import_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "elsewhere/sweep").mkdir(parents=True)
    (folder / "elsewhere/sweep/__init__.py").write_text("import a_package_that_is_missing")
    monkeypatch.setattr(imports, "ROOT", str(folder / "elsewhere"))
    sweep, heard = read(folder), Heard()
    launch.run(sweep, expand(sweep), Claims.alone(Store(sweep.store)), heard, Stop())
    [record] = heard.ended
    assert (record.status, record.error_type) == ("failed", "ModuleNotFoundError")
    assert record.error_message == (
        "a worker cannot import what this launch runs: ModuleNotFoundError: No module named 'a_package_that_is_missing'"
    )


DRIVER = """
import sys
from sweep.engines import on_ray as launch
from sweep.config.config import read_sweep
from sweep.config.grid import expand, title
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

sweep = read_sweep("tiny.yaml", ["store=results", "grid.seed=0,1,2,3,4,5", "training.epochs=100000"])
stop = Stop()
with stop.listening():
    launch.run(sweep, expand(sweep), Claims.alone(Store(sweep.store)), Talker(), stop)
print("signal", stop.signal)
"""


def test_ctrl_c_stops_running_trials_at_their_epoch_and_records_them(folder: Path) -> None:
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert driver.stdout is not None
    for line in driver.stdout:
        if line.startswith("epoch"):
            break
    os.killpg(driver.pid, signal.SIGINT)  # all of the process group, as a terminal does
    out, errors = driver.communicate(timeout=40)
    assert (driver.returncode, errors) == (0, "")
    ended = [line for line in out.splitlines() if not line.startswith("epoch")]
    assert ended[-1] == "signal 2"
    assert 1 <= len(ended) - 1 <= os.cpu_count() and set(ended[:-1]) == {"interrupted"}
    assert set(Store("results").statuses().values()) == {"interrupted"}
    assert not ray_processes()


def test_no_trial_outlives_a_driver_that_dies(folder: Path) -> None:
    driver = subprocess.Popen([sys.executable, "-c", DRIVER], stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    assert driver.stdout.readline().startswith("epoch")
    workers = {process for process in ray_processes() if "ImplicitFunc" in title_of(process)}
    assert workers
    driver.kill()
    driver.communicate()
    deadline = time.monotonic() + 20
    while any(map(title_of, workers)):
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.fixture
def cluster(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head that runs no trials, as in cluster.yaml, and a worker node: on this machine, but Ray cannot tell."""
    from sweep.engines.on_ray import environment

    (Path(os.environ["RAY_TMPDIR"]) / "ray").mkdir()  # which this Cluster takes for granted
    environment.prepare("auto")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")  # for the nodes, which start now
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    made.add_node(num_cpus=2)
    yield made
    made.shutdown()


def streamed(folder: Path, s3: str) -> SweepConfig:
    """Two trials on images in a bucket: a red and a blue class, eight of each, two of them for the test."""
    for part, color in itertools.product(("train", "val"), ("blue", "red")):
        (folder / "photos" / part / color).mkdir(parents=True)
        for number in range(6 if part == "train" else 2):
            Image.new("RGB", (10 + number, 10), color).save(folder / "photos" / part / color / f"{number}.png")
    address = f"s3://photos-of-two-colors/photos?{s3}"
    bucket, path = pyarrow.fs.FileSystem.from_uri(address)
    pyarrow.fs.copy_files(str(folder / "photos"), path, destination_filesystem=bucket)
    shutil.rmtree(folder / "photos")
    images = {"name": "imagenet", "classes": 2, "image_size": 8, "workers": 0, "path": address}
    settings = [f"data={json.dumps(images | {'cache': str(folder / 'cache')})}", "grid.seed=0,1"]
    return read(folder, *settings, "grid.architecture=spies:colors", "training.batch_size=4", "pruning.batch_size=4")


def test_on_a_cluster_records_reach_the_drivers_disk_from_nodes_with_the_same_code_only(
    folder: Path, cluster: Any, s3: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from sweep.engines.on_ray import driver
    from sweep.trial.code_version import code_version

    sweep, heard = read(folder), Heard()
    store, here = Store(sweep.store), code_version((), ["spies:plain"])
    monkeypatch.setattr(driver, "code_version", lambda *own: replace(here, releases={"torch": "0.1"}))
    launch.run(sweep, expand(sweep), Claims.alone(store), heard, Stop(), address=cluster.address)
    assert [record.status for record in heard.ended] == ["completed"]
    assert f"torch {here.releases['torch']} (0.1 where the launch runs)" in caplog.text

    others, stop = read(folder, "grid.seed=5,6,7"), Stop()
    monkeypatch.setattr(driver, "code_version", lambda *own: replace(here, sources="0" * 16))
    launch.run(others, expand(others), Claims.alone(store), heard, stop, address=cluster.address)
    assert isinstance(stop.error, InputError)
    assert all(value in str(stop.error) for value in (socket.gethostname(), here.sources, "0" * 16))
    assert len(heard.ended) == len(store.trials()) == 1

    monkeypatch.setattr(driver, "code_version", code_version)
    photos, stop = streamed(folder, s3), Stop()
    launch.run(photos, expand(photos), Claims.alone(store), heard, stop, address=cluster.address)
    assert stop.error is None
    assert [record.status for record in heard.ended[1:]] == ["completed", "completed"]
    assert {record.data_content for record in heard.ended[1:]} == {data.fingerprint(photos.data)}
    assert len([*(folder / "cache").rglob("*.png")]) == 2 * (6 + 2)

    large = read(folder, "compute.cpus_per_trial=64")
    with pytest.raises(InputError, match=r"64 CPU cores .* at most 2; --set compute\.cpus_per_trial=2"):
        launch.run(large, expand(large), Claims.alone(store), heard, Stop(), address=cluster.address)

    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    from sweep.engines.on_ray.cluster import connected
    from sweep.engines.on_ray.coordinator import start_coordinator
    from sweep.engines.on_ray.lookout import Lookout
    from sweep.engines.on_ray.worker import RayWorkerSetup

    here, there = Store(folder / "drivers"), Store(folder / "workers")  # one path, two machines' disks
    outcome = Outcome(TrialRecord(**config_fields(expand(sweep)[0]), sweep="", status="completed"))
    with connected(cluster.address):
        assert Lookout({"CPU": 64}).look() == "no machine of this cluster has 64 CPUs, and it has no autoscaler"
        home = ray.get_runtime_context().get_node_id()
        claims_of_both = [Claims.alone(store) for store in (here, there)]
        coordinator = start_coordinator(claims_of_both[0], 0, home)
        setup = RayWorkerSetup(
            RunSettings(),
            claims=claims_of_both[1],
            home=home,
            folder="",
            path=(),
            coordinator=coordinator,
            code=code_version((), ()),
        )
        (away,) = {node["NodeID"] for node in ray.nodes()} - {home}
        keep = ray.remote(lambda setup, outcome: setup.reachable_claims().write(outcome))
        for node, disk in ((away, here), (home, there)):
            assert not disk.completed()
            there_only = NodeAffinitySchedulingStrategy(node, soft=False)
            ray.get(keep.options(num_cpus=0, scheduling_strategy=there_only).remote(setup, outcome))
            assert disk.completed() == {outcome.trial.trial_id}

        # by the command that passes a cloud's notice on: the idle node ends at once
        command = [str(Path(sys.executable).with_name("ray")), "drain-node", "--reason=DRAIN_NODE_REASON_PREEMPTION"]
        options = ["--reason-message=spot", "--deadline-remaining-seconds=100", "--node-id", away]
        subprocess.run([*command, *options, "--address", cluster.address], check=True, timeout=120)
        deadline = time.monotonic() + 60
        while away in {node["NodeID"] for node in ray.nodes() if node["Alive"]}:
            assert time.monotonic() < deadline
            time.sleep(0.2)


@pytest.fixture
def gpu_cluster(folder: Path) -> Iterator[Any]:
    """A head, and a node that says it has two GPUs of a kind."""
    from sweep.engines.on_ray import environment

    (Path(os.environ["RAY_TMPDIR"]) / "ray").mkdir()
    environment.prepare("auto")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    made.add_node(num_cpus=4, num_gpus=2, resources={"accelerator_type:H100": 1})
    yield made
    made.shutdown()


def test_each_architecture_has_the_share_of_a_gpu_that_was_measured_for_it(
    folder: Path, gpu_cluster: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from sweep.engines.on_ray import driver, probing
    from sweep.trial.gpu_use import GpuUse

    class OnCpu:  # the node has no real GPU
        of = staticmethod(lambda sweep, device: RunSettings("cpu", sweep.name, sweep.compute))

    kinds, measured = [], []
    real_kinds, real_measure = probing.kinds_of_gpus, probing.measure

    def half_busy(*arguments: Any) -> Iterator[Any]:
        """What the task on the node answers, with a GPU's numbers in place of the CPU's."""
        kinds.extend(real_kinds())
        for answer in real_measure(*arguments):
            measured.append((answer.label, answer.use is not None and answer.use.card[:3]))
            busy = 0.5 if answer.use is not None else 1.0
            yield answer._replace(use=answer.use and GpuUse("H100", 80, 10, 1.0, busy))

    monkeypatch.setattr(driver, "RunSettings", OnCpu)
    monkeypatch.setattr(driver.probing, "measure", half_busy)
    networks = "grid.architecture=[spies:plain,spies:broken]"
    sweep, heard = read(folder, networks, "compute.gpus_per_trial=auto", "training.epochs=5"), Heard()
    launch.run(sweep, expand(sweep), Claims.alone(Store(sweep.store)), heard, Stop(), address=gpu_cluster.address)
    assert kinds == ["H100"]
    assert measured == [("spies:plain", "cpu"), ("spies:broken", False)]
    assert {record.architecture: record.gpu_share for record in heard.ended} == {"spies:plain": 0.5, "spies:broken": 1}
    assert {record.architecture: record.status for record in heard.ended} == {
        "spies:plain": "completed", "spies:broken": "failed",
    }  # fmt: skip
    assert "spies:plain: 2 trials share a GPU: on H100" in caplog.text
    assert "by compute.cpus_per_trial" not in caplog.text  # four cores, and two GPUs of two trials each
    node = {"CPU": 3.0, "GPU": 2.0}
    assert driver.cores_limit(sweep.compute, 0.5, [{"CPU": 1.0}, node, node]) == [
        "trials: 3 at once on a node, limited by compute.cpus_per_trial=1 (3 cores); compute.gpus_per_trial=auto: 0.5"
        " (2 GPUs) would allow 4"
    ]
    assert "spies:broken: one trial a GPU: it could not be measured: RuntimeError: a mistake" in caplog.text
