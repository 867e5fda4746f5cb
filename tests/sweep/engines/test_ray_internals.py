"""Parts of Ray that it may move: each is where ray_internals.py looks for it, and is missed with a clear message."""

import importlib
import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("ray")
pytest.importorskip("ray.tune")

import ray
from ray import tune
from ray.experimental.internal_kv import _internal_kv_put
from ray.job_config import JobConfig
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from sweep.engines.on_ray import environment, ray_internals
from sweep.errors import InputError

pytestmark = pytest.mark.filterwarnings("default")  # Ray and what it imports warn of their own affairs


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """The folder of a Ray that this process has started and is connected to."""
    environment.prepare(None)
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp", ignore_cleanup_errors=True) as made:
        try:
            ray.init(address="local", num_cpus=1, include_dashboard=False, **ray_internals.start_below(Path(made)))
            yield Path(made)
        finally:
            ray.shutdown()


def test_ray_does_not_extend_the_path_that_a_job_gives_its_workers() -> None:
    config = ray_internals.job_with_path(["/ours"])
    config._py_driver_sys_path.extend(["/the/working/folder"])  # as ray.init does
    assert config._get_proto_job_config().py_driver_sys_path == ["/ours"]


def test_tune_adds_no_callback_that_prints_to_a_silent_one(capsys: pytest.CaptureFixture[str]) -> None:
    from ray.tune.progress_reporter import TrialProgressCallback
    from ray.tune.utils.callback import _create_default_callbacks

    silent = ray_internals.silent_progress()
    callbacks = _create_default_callbacks([silent])
    assert [callback for callback in callbacks if isinstance(callback, TrialProgressCallback)] == [silent]
    for event in (silent.on_trial_result, silent.on_trial_error, silent.on_trial_complete):
        event(1, [], SimpleNamespace(last_result={}), result={})
    assert capsys.readouterr() == ("", "")


@pytest.mark.slow
def test_of_a_ray_that_was_started_here_all_parts_are_found(folder: Path) -> None:
    assert any(folder.glob("session_*"))
    raylet = ray_internals.own_raylet()
    assert raylet is not None and raylet.poll() is None
    assert ray_internals.draining_nodes() == set()
    assert "raylet" in Path(f"/proc/{raylet.pid}/cmdline").read_text()
    assert ray_internals.node_groups() == []
    [node] = ray_internals.reported().nodes
    assert node.resources["CPU"] == node.free["CPU"] == 1
    assert ray_internals.head_id() == ray.get_runtime_context().get_node_id()
    assert (ray_internals.log_folder() / "monitor.log").exists()


@pytest.mark.slow
def test_the_kinds_of_nodes_are_those_that_an_autoscaler_told(folder: Path) -> None:
    messages: Any = importlib.import_module("ray.core.generated.autoscaler_pb2")
    keys: Any = ray._raylet
    cards = messages.NodeGroupConfig(name="cards", resources={"CPU": 8, "GPU": 2}, max_count=4)
    _internal_kv_put(
        keys.GCS_AUTOSCALER_CLUSTER_CONFIG_KEY,
        messages.ClusterConfig(node_group_configs=[cards]).SerializeToString(),
        overwrite=True,
        namespace=keys.GCS_AUTOSCALER_STATE_NAMESPACE,
    )
    assert ray_internals.node_groups() == [("cards", {"CPU": 8, "GPU": 2}, 4)]


class Forgetful(FIFOScheduler):
    """Makes Tune forget what has ended, and remembers how many trials it knew at once."""

    def __init__(self) -> None:
        super().__init__()
        self.known: list[int] = []

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        ray_internals.forget_ended(tune_controller)
        self.known.append(len(tune_controller.get_trials()))
        return super().choose_trial_to_run(tune_controller)


class Counting(Searcher):
    """Gives Tune numbers without end."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers = itertools.count()

    def suggest(self, trial_id: str) -> Any:
        return {"number": next(self._numbers)}

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None: ...
    def save(self, checkpoint_path: str) -> None: ...
    def restore(self, checkpoint_path: str) -> None: ...


@pytest.mark.slow
def test_tune_forgets_trials_that_ended_well_and_badly(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNE_MAX_PENDING_TRIALS_PG", "1")

    def second_fails(config: dict[str, int]) -> dict[str, int]:
        if config["number"] == 1:
            raise RuntimeError("the second")
        return config

    results: list[int] = []

    class Results(tune.Callback):
        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            results.append(trial.last_result["number"])

    scheduler = Forgetful()
    tune.Tuner(
        second_fails,
        tune_config=tune.TuneConfig(search_alg=Counting(), num_samples=6, scheduler=scheduler, reuse_actors=True),
        run_config=tune.RunConfig(
            storage_path=str(folder / "tune"), verbose=0, callbacks=[Results(), ray_internals.silent_progress()]
        ),
    ).fit()
    assert results == [0, 2, 3, 4, 5]
    assert max(scheduler.known) <= 3  # running, waiting, and one whose end is not yet noticed


def job_with_path() -> Any:
    return ray_internals.job_with_path([])


@pytest.mark.parametrize(
    ("module", "name", "call"),
    [
        ("ray._private.worker", "_global_node", ray_internals.own_raylet),
        ("ray._private.state", "state", ray_internals.node_groups),
        ("ray._private.state", "state", ray_internals.draining_nodes),
        ("ray.autoscaler.v2.sdk", "get_cluster_status", ray_internals.reported),
        ("ray._private.worker", "_global_node", ray_internals.log_folder),
        ("ray.tune.progress_reporter", "TrialProgressCallback", ray_internals.silent_progress),
        ("ray.job_config", "_py_driver_sys_path", job_with_path),
        ("ray.tune.execution.tune_controller", "the sets of trials", lambda: ray_internals.forget_ended(object())),
    ],
)
def test_a_ray_that_moved_a_part_is_told_by_its_name(
    monkeypatch: pytest.MonkeyPatch, module: str, name: str, call: Any
) -> None:
    if name == "_py_driver_sys_path":
        monkeypatch.setattr(JobConfig, "__init__", lambda self: None)
    elif hasattr(importlib.import_module(module), name):
        monkeypatch.delattr(importlib.import_module(module), name)
    with pytest.raises(InputError, match=rf"Ray {ray.__version__} has moved .*{name}.*; .*ray_internals\.py"):
        call()
