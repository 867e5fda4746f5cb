"""What a trial takes of a GPU: measured here on a CPU, whose clock and memory stand for a GPU's; marked cuda, on one.

The latter need neither Ray nor MLflow: ``python -m pytest -m cuda tests/sweep/trial/test_gpu_use.py``.
"""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sweep.config.compute import Compute
from sweep.config.config import read_sweep
from sweep.engines import Stop
from sweep.engines.processes import probing
from sweep.engines.processes.starting import process_context
from sweep.engines.processes.worker import WorkerSetup
from sweep.engines.sharing.probe import Answer, Request, probe
from sweep.engines.sharing.subjects import Subject, subjects
from sweep.store import Store
from sweep.store.claims import Claims
from sweep.trial import gpu_use
from sweep.trial.gpu_use import NotMeasured, measure
from sweep.trial.run import load_data
from sweep.trial.settings import RunSettings

CONFIG = """
data: digits
grid:
  architecture: {name: vgg_digits, width: 8, depth: 4}
  method: [dense, {name: force, rounds: 40}, rigl, grasp]
  sparsity: 0.9
  seed: 0
pruning: {batch_size: 32}
training: {epochs: 20, batch_size: 64}
"""


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    [found] = subjects(read_sweep(tmp_path / "tiny.yaml"))
    return found


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_use, "SECONDS", 0.0)
    monkeypatch.setattr(gpu_use, "WARM_UPS", 2)
    monkeypatch.setattr(gpu_use, "TIMED", 2)


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_every_method_is_pruned_for_three_rounds_and_trained_for_some_steps(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds, steps = [], []

    class StopAfter(gpu_use._StopAfter):
        def __call__(self) -> bool:
            rounds.append(1)
            return super().__call__()

    class Clock(gpu_use._StepClock):
        def __call__(self) -> bool:
            steps.append(self.steps)
            return super().__call__()

    monkeypatch.setattr(gpu_use, "_StopAfter", StopAfter)
    monkeypatch.setattr(gpu_use, "_StepClock", Clock)
    found = measure(subject.trials, load_data(subject.trials[0]), RunSettings())
    assert len(rounds) == 4  # of FORCE's forty: the fourth is announced, and not begun
    each = 2 + 5 + 2 + 1  # warm-ups, paced and timed steps; the first call comes after the first step
    assert steps == 4 * list(range(each))
    assert 0 < found.busy <= 1 and found.trial_bytes > 0 and found.card.startswith("cpu")


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_a_training_of_too_few_steps_and_one_that_takes_too_long_are_not_measured(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, trial = load_data(subject.trials[0]), subject.trials[0]
    short = replace(trial, training=replace(trial.training, epochs=0))
    with pytest.raises(NotMeasured, match="ends after 0 steps"):
        measure([short], dataset, RunSettings())
    monkeypatch.setattr(gpu_use, "MOST_SECONDS", -1.0)
    with pytest.raises(NotMeasured, match="takes longer"):
        measure([trial], dataset, RunSettings())


LOST = """
import os, signal

def lost(classes):
    os.kill(os.getpid(), signal.SIGKILL)

def broken(classes):
    raise RuntimeError("a mistake in the network")
"""


def answers(tmp_path: Path, asked: list[Subject], device: str = "cpu") -> list[Answer]:
    """Of the process that ``--local --jobs auto`` starts for it."""
    dataset = load_data(asked[0].trials[0])
    claims = Claims.alone(Store(tmp_path / "results"))
    setup = WorkerSetup({}, RunSettings(device, compute=asked[0].compute), dataset, claims)
    return list(probing.measure(process_context(), setup, Stop(), [Request(subject) for subject in asked]))


@pytest.mark.slow
def test_a_process_of_its_own_answers_for_each_architecture_also_where_one_ends_it(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lost_networks.py").write_text(LOST)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    sweep = read_sweep(tmp_path / "tiny.yaml", ["grid.architecture=[lost_networks:broken,lost_networks:lost]"])
    short = replace(subject, trials=subject.trials[:1])
    broken, measured, lost = answers(tmp_path, [subjects(sweep)[0], short, subjects(sweep)[1]])
    assert broken.error == "RuntimeError: a mistake in the network"
    assert measured.use is not None and measured.is_new
    assert lost.error == "its process was killed by SIGKILL"


def test_what_is_known_of_this_device_is_not_measured_again(subject: Subject) -> None:
    use = gpu_use.GpuUse(*_this_device(), trial_bytes=1, step_seconds=1, gpu_seconds=1)
    other = replace(use, card="another")
    [answer] = probe([Request(subject, (other, use))], None, RunSettings())
    assert answer == Answer(subject.label, use)


def _this_device() -> tuple[str, int]:
    return gpu_use.provenance.device_name("cpu"), gpu_use.provenance.device_memory("cpu")


@pytest.mark.cuda
def test_the_process_that_launches_holds_no_context(subject: Subject, tmp_path: Path) -> None:
    """Before other tests of this process use the GPU: run this file alone."""
    if torch.cuda.is_initialized():
        pytest.skip("an earlier test of this process has used the GPU")
    [answer] = answers(tmp_path, [replace(subject, trials=subject.trials[:1])], "cuda")
    assert answer.use is not None, answer.error
    assert not torch.cuda.is_initialized()


@pytest.mark.cuda
def test_a_captured_step_keeps_a_gpu_busier_than_an_eager_one(subject: Subject) -> None:
    dataset, trials = load_data(subject.trials[0]), subject.trials[:1]
    captured, eager = (
        measure(trials, dataset, RunSettings("cuda", compute=Compute(graphs=how))) for how in ("auto", "off")
    )
    assert captured.step_seconds < eager.step_seconds
    assert eager.busy < captured.busy
    # about the same kernels: that the host launches them one by one is not counted
    assert captured.gpu_seconds / 2 < eager.gpu_seconds < 3 * captured.gpu_seconds


@pytest.mark.cuda
def test_the_measured_memory_is_the_contexts_and_the_peak_of_pruning_and_training(subject: Subject) -> None:
    dataset = load_data(subject.trials[0])
    found = measure(subject.trials, dataset, RunSettings("cuda"))
    peak = torch.cuda.max_memory_allocated()  # of the last method
    assert peak < found.trial_bytes < peak + gpu_use.CONTEXT_BYTES + 2**30
    assert found.card_bytes == torch.cuda.get_device_properties(0).total_memory
