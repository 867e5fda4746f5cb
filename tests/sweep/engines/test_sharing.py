"""How many trials share a GPU: the rule by hand, what is kept of measurements, and what a launch makes of them."""

import json
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from sweep.cli import main
from sweep.config.config import SweepConfig, read_sweep
from sweep.config.grid import expand
from sweep.engines.sharing import kept
from sweep.engines.sharing.decide import decide
from sweep.engines.sharing.probe import Answer, Request
from sweep.engines.sharing.rule import Sharing, sharing
from sweep.engines.sharing.subjects import subjects
from sweep.store import Store
from sweep.trial.gpu_use import GpuUse, NotMeasured, context_bytes

GB = 10**9
CONFIG = """
name: mine
data: digits
grid: {architecture: [vgg_digits, {name: vgg_digits, width: 8}], method: [dense, snip], sparsity: [0.9, 0.5], seed: [0, 1]}
compute: {gpus_per_trial: auto}
"""
SMALL, LARGE = "vgg_digits width=8", "vgg_digits"


def use(busy: float = 0.2, memory: int = GB, card: str = "NVIDIA H100", of: int = 80 * GB) -> GpuUse:
    return GpuUse(card, of, memory, step_seconds=0.01, gpu_seconds=0.01 * busy)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mine.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(*settings: str) -> SweepConfig:
    return read_sweep("mine.yaml", settings)


@pytest.mark.parametrize(
    ("busy", "memory", "mps", "trials"),
    [
        (0.99, 1 * GB, False, 1),  # a captured step: others would take turns
        (0.81, 1 * GB, False, 1),  # two in turns: 0.88 / 0.81 = 1.09 times one
        (0.80, 1 * GB, False, 2),  # 0.95 / 0.80 = 1.19
        (0.48, 1 * GB, False, 2),  # 0.95 / 0.48 = 1.98: two keep it busy 96 %
        (0.25, 1 * GB, False, 4),  # 3.8
        (0.95 / 4, 1 * GB, False, 4),  # 4 to the last bit
        (0.01, 1 * GB, False, 16),  # 95, and no more than 16
        (0.00, 1 * GB, False, 16),
        (0.25, 30 * GB, False, 2),  # 0.9 · 80 = 72 GB
        (0.25, 36 * GB, False, 2),
        (0.25, 37 * GB, False, 1),
        (0.25, 79 * GB, False, 1),  # more than the margin leaves: it runs alone all the same
        (0.99, 1 * GB, True, 4),
        (0.99, 20 * GB, True, 3),
        (0.10, 1 * GB, True, 10),  # 9.5
    ],
)
def test_trials_share_a_gpu_that_one_leaves_idle_as_its_memory_allows(
    busy: float, memory: int, mps: bool, trials: int
) -> None:
    assert sharing(use(busy, memory), mps).trials == trials


def test_the_reason_has_the_measured_numbers() -> None:
    assert sharing(use(0.5, 2 * GB), mps=False).reason == (
        "one alone keeps it busy 50% of the time and takes 2.0 of 80 GB; so many fill it"
    )
    assert "take turns with it (compute.mps: off)" in sharing(use(0.97), mps=False).reason
    assert "no more fit (4 would keep it busy)" in sharing(use(0.25, 30 * GB), mps=False).reason


@pytest.mark.parametrize("trials", range(1, 17))
def test_as_many_shares_as_trials_fit_on_a_gpu_in_ten_thousandths_and_no_more(trials: int) -> None:
    parts = round(10_000 * Sharing(trials, "").share)
    assert trials * parts <= 10_000 < (trials + 1) * parts


def test_a_step_keeps_the_gpu_busy_for_its_seconds_times_steps_a_second() -> None:
    assert GpuUse("", 0, 0, step_seconds=1 / 85, gpu_seconds=0.0026).busy == pytest.approx(85 * 0.0026)
    assert GpuUse("", 0, 0, step_seconds=0.010, gpu_seconds=0.0101).busy == 1.0


def test_a_gpu_that_others_use_is_not_measured() -> None:
    assert context_bytes(used=3 * 2**30, reserved=2 * 2**30) == 2**30
    with pytest.raises(NotMeasured, match=r"other processes use 10\.7 GB of the GPU"):
        context_bytes(used=12 * 2**30, reserved=2 * 2**30)


def test_a_measurement_is_of_an_architecture_with_one_trial_a_method(folder: Path) -> None:
    large, small = subjects(read())
    assert (large.label, small.label) == (LARGE, SMALL)
    assert [(trial.method.name, trial.sparsity) for trial in large.trials] == [("dense", 0.0), ("snip", 0.5)]
    assert [subject.label for subject in subjects(read(), [SMALL])] == [SMALL]


def test_what_a_measurement_depends_on_is_in_its_key(folder: Path) -> None:
    key = subjects(read())[0].key
    for same in ("grid.seed=7", "grid.sparsity=0.99", "grid.ablation=[none,invert]", "compute.max_failures=1"):
        assert subjects(read(same))[0].key == key, same
    others = [
        "training.batch_size=64", "training.precision=bf16", "pruning.batch_size=64", "grid.method=[dense,grasp]",
        "compute.mps=on", "compute.graphs=off", "compute.cpus_per_trial=2", "grid.architecture=resnet20",
    ]  # fmt: skip
    keys = {subjects(read(other))[0].key for other in others}
    assert len(keys) == len(others) and key not in keys


def test_measurements_are_kept_by_gpu_and_damaged_ones_forgotten(folder: Path) -> None:
    store, (subject, other) = Store("results"), subjects(read())
    assert kept.load(store, subject) == ()
    kept.save(store, subject, use(0.2))
    kept.save(store, subject, use(0.3, card="NVIDIA T4"))
    kept.save(store, subject, use(0.25))
    assert {each.busy for each in kept.load(store, subject)} == {use(0.25).busy, use(0.3).busy}
    assert kept.load(store, other) == ()
    for file in (folder / "results/probes").iterdir():
        file.write_text("{")
    assert kept.load(store, subject) == ()


class Measured:
    """Answers as a probe does on some GPUs, and remembers the requests."""

    def __init__(self, *uses: GpuUse, failing: str = ""):
        self.uses, self.failing = uses, failing
        self.requests: list[Request] = []

    def __call__(self, requests: Sequence[Request]) -> Iterable[Answer]:
        self.requests += requests
        for found in self.uses:
            for request in requests:
                if request.subject.label == self.failing:
                    yield Answer(self.failing, error="OutOfMemoryError: CUDA out of memory")
                else:
                    yield Answer(request.subject.label, found, is_new=found not in request.known)


def test_a_relaunch_does_not_measure_again(folder: Path) -> None:
    sweep, store, first, second = read(), Store("results"), Measured(use(0.5)), Measured(use(0.5))
    decided = decide(sweep, expand(sweep), store, first)
    assert {label: found.trials for label, found in decided.items()} == {LARGE: 2, SMALL: 2}
    assert [request.known for request in first.requests] == [(), ()]
    assert decide(sweep, expand(sweep), store, second) == decided
    assert [request.known for request in second.requests] == [(use(0.5),)] * 2


def test_only_architectures_that_are_to_run_are_measured(folder: Path) -> None:
    sweep, measure = read(), Measured(use())
    decide(sweep, [trial for trial in expand(sweep) if trial.architecture.label == SMALL], Store("results"), measure)
    assert [request.subject.label for request in measure.requests] == [SMALL]


def test_the_gpu_on_which_fewest_fit_decides(folder: Path) -> None:
    sweep = read()
    measure = Measured(use(0.2), use(0.6, card="NVIDIA T4"))
    decided = decide(sweep, expand(sweep), Store("results"), measure)
    assert {found.trials for found in decided.values()} == {2}
    assert all("NVIDIA T4" in found.reason for found in decided.values())


def test_what_cannot_be_measured_gets_a_gpu_a_trial_and_says_why(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []
    sweep, store = read(), Store("results")
    with caplog.at_level(logging.WARNING):
        decided = decide(sweep, expand(sweep), store, Measured(use(0.5), failing=LARGE), told.append)
    assert {label: found.share for label, found in decided.items()} == {LARGE: 1.0, SMALL: 0.5}
    assert caplog.messages == [
        "vgg_digits: one trial a GPU: it could not be measured: OutOfMemoryError: CUDA out of memory",
        "vgg_digits width=8: 2 trials share a GPU: on NVIDIA H100 one alone keeps it busy 50% of the time and takes 1.0"
        " of 80 GB; so many fill it",
    ]
    assert told == ["measuring how many trials share a GPU"]
    large, small = subjects(sweep)
    assert kept.load(store, large) == () and kept.load(store, small) == (use(0.5),)


def test_a_probe_that_answers_nothing_gives_a_gpu_a_trial(folder: Path) -> None:
    sweep = read()
    decided = decide(sweep, expand(sweep), Store("results"), Measured())
    assert {found.trials for found in decided.values()} == {1}


def plan() -> dict:
    result = CliRunner().invoke(main, ["plan", "mine.yaml", "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def test_plan_says_that_it_is_not_measured_yet_and_that_there_is_no_gpu(folder: Path) -> None:
    row = plan()
    assert row["gpu_sharing"] == []
    assert row["at_once"] == {
        "trials": None,
        "limited_by": None,
        "text": f"compute.gpus_per_trial=auto is measured on a GPU when the sweep is launched ({LARGE}, {SMALL}); this"
        " machine has none, and --set compute.gpus_per_trial=0 trains on the CPU",
    }
    assert not (folder / "results").exists()


def test_plan_says_what_was_measured(folder: Path) -> None:
    store, (large, small) = Store("results"), subjects(read())
    kept.save(store, large, use(0.25))
    kept.save(store, small, use(0.15))
    row = plan()
    assert [(each["architecture"], each["trials"]) for each in row["gpu_sharing"]] == [(LARGE, 4), (SMALL, 7)]
    assert row["at_once"]["text"] == "0 at once on this machine, limited by compute.gpus_per_trial=auto: 0.25 (0 GPUs)"
    printed = CliRunner().invoke(main, ["plan", "mine.yaml"]).output
    assert "vgg_digits width=8: 7 trials share a GPU: on NVIDIA H100 one alone keeps it busy 15% of" in printed
