"""The budget of a plan: hand arithmetic on stored trials, refusals, and how far it was off."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from sweep.config.config import SweepConfig, read_sweep
from sweep.config.grid import expand
from sweep.config.trial_config import TrialConfig
from sweep.errors import InputError
from sweep.launch.budget import calibrations, hardware
from sweep.launch.budget.budget import START_SECONDS, Budget, budget, check_cost
from sweep.launch.budget.calibrate import representatives
from sweep.launch.budget.likeness import of_trial
from sweep.launch.plan import plan, record_sweep
from sweep.launch.preflight import check_grid
from sweep.records import Outcome
from sweep.report import write_report
from sweep.store import Store
from sweep.store.estimates import LaunchEstimate, Range, deviation
from sweep.trial import machine
from sweep.trial.networks import summaries
from sweep.trial.provenance import device_name
from sweep.trial.record_fields import config_fields
from sweep.trial.run import load_data
from sweep.trial.setup import Setup
from sweep.trial.timing import Timing
from training import data

from ...conftest import make_outcome
from ..small import sweep as command

MACS = 4_148_480  # of vgg_digits for an image of 8x8
IMAGES, VALIDATION, TEST = 1293, 144, 360
SMALL = ["grid.method=[dense, snip]", "grid.sparsity=0.9,0.99", "grid.seed=0,1"]


@pytest.fixture(autouse=True)
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "cores", lambda: 4)


def read(store: Store, *settings: str) -> SweepConfig:
    return read_sweep("digits", [f"store={store.uri}", *SMALL, *settings])


def took(trial: TrialConfig, seconds: float, pruning: float = 0.0, training: float = 0.0, **fields: object) -> Outcome:
    """A completed trial that took so long."""
    facts = {"device": device_name("cpu"), "epochs": trial.training.epochs, **config_fields(trial), **fields}
    name = str(facts.pop("trial_id"))
    return make_outcome(name, seconds=seconds, prune_seconds=pruning, train_seconds=training, **facts)


def of(sweep: SweepConfig, gpus: int | None = None) -> Budget:
    store = Store(sweep.store)
    return budget(plan(sweep, store), store, check_grid(sweep).networks, gpus)


def test_nothing_is_known_of_time_and_cost_where_nothing_was_measured(local: Store) -> None:
    found = of(read(local, "compute.dollars_per_hour=1"))
    assert (found.seconds, found.wall, found.dollars, found.unknown) == (None, None, None, ["vgg_digits"])
    training = 10 * (IMAGES + VALIDATION / 3) + TEST / 3
    assert found.flops == pytest.approx(6 * MACS * (6 * training + 4 * 128)), "six trials, four of them prune"
    with pytest.raises(InputError, match="nothing tells how long trials of vgg_digits take"):
        check_cost(found, 1000)
    with pytest.raises(InputError, match="--max-cost: the config has no price"):
        check_cost(of(read(local)), 1000)


def test_like_trials_tell_the_seconds_of_others_and_their_price(local: Store) -> None:
    sweep = read(local, "compute.dollars_per_hour=7.2")
    for trial in expand(sweep):
        if trial.seed == 0:
            local.write(took(trial, seconds={0.0: 100.0, 0.9: 60.0, 0.99: 40.0}[trial.sparsity]))
    found = of(sweep)
    assert (found.trials, found.measured_trials, found.is_calibrated) == (3, 3, False)
    assert found.seconds.expected == 200
    assert found.hours.expected == 200 / 3600 / 4, "four at once on the machine"
    assert found.dollars.expected == pytest.approx(7.2 * 200 / 3600 / 4)
    assert found.wall.expected == START_SECONDS + 100, "the longest of three beside each other"
    assert found.seconds.low < 200 < found.seconds.high < 400
    check_cost(found, 1.0)
    with pytest.raises(InputError, match=r"--max-cost 0.1: the 3 trials that are left cost about \$0.10 \("):
        check_cost(found, 0.1)


def test_other_epochs_and_methods_are_put_together_from_rounds_and_steps(local: Store) -> None:
    sweep = read(local, "grid.method=[snip, {name: force, rounds: 8}]", "grid.sparsity=0.9", "grid.seed=0")
    snip = next(trial for trial in expand(sweep) if trial.method.name == "snip")
    short = replace(snip, training=replace(snip.training, epochs=2))
    local.write(took(short, seconds=3.5, pruning=0.5, training=2.0))
    found = of(sweep)
    seconds = {kind.method: estimate.seconds for kind, estimate in found.estimates.items()}
    assert seconds["snip"] == pytest.approx(0.5 + 10 / 2 * 2.0 + 1.0)
    rate = 2.0 / (2 * (IMAGES + VALIDATION / 3) * MACS)
    assert seconds["force rounds=8"] == pytest.approx(8 * 128 * MACS * rate + 10.0 + 1.0), "its rounds as steps"
    errors = {kind.method: estimate.error for kind, estimate in found.estimates.items()}
    assert errors["force rounds=8"] > errors["snip"] > 0.1


@pytest.mark.parametrize("difference", ["training.batch_size=128", "training.precision=bf16", "data.image_size=16"])
def test_trials_with_other_steps_tell_nothing(local: Store, difference: str) -> None:
    local.write(took(expand(read(local, difference))[0], seconds=10.0, training=9.0))
    assert of(read(local)).seconds is None


def test_trials_on_a_gpu_tell_nothing_of_a_cpu_and_this_machine_comes_first(local: Store) -> None:
    sweep = read(local, "grid.method=dense", "grid.seed=0,1,2,3,4")
    first, second, third, fourth, _ = expand(sweep)
    local.write(took(first, seconds=1.0, device="NVIDIA H200", gpu_share=1.0))
    assert of(sweep).seconds is None
    local.write(took(second, seconds=30.0, device="cpu (arm64, 1 threads)"))
    local.write(took(third, seconds=30.0, device="cpu (arm64, 1 threads)"))
    assert of(sweep).seconds.expected == 2 * 30
    local.write(took(fourth, seconds=10.0))
    assert of(sweep).seconds.expected == 10


def test_a_share_of_a_gpu_costs_a_share_of_its_price(local: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ["compute.gpus_per_trial=0.25", "compute.dollars_per_hour=2", "grid.method=dense"]
    sweep = read(local, *settings, "grid.seed=0,1,2,3,4,5,6,7,8")
    local.write(took(expand(sweep)[0], seconds=900.0, device="NVIDIA H200", gpu_share=0.25))
    found = of(sweep)
    assert (found.hours.expected, found.slots.unit) == (8 * 900 / 3600 / 4, "GPU-hours")
    assert found.dollars.expected == pytest.approx(1.0), "two quarter hours of one GPU"
    assert found.wall.expected == START_SECONDS + 2 * 900
    assert of(sweep, gpus=2).wall.expected == START_SECONDS + 900
    monkeypatch.setattr(hardware.torch.cuda, "device_count", lambda: 2)
    assert of(sweep).slots.at_once == 4, "on four cores, four trials at once and not eight"
    assert of(sweep).dollars.expected == pytest.approx(2.0)
    with pytest.raises(InputError, match="--gpus: these trials run on CPUs"):
        of(read(local), gpus=2)


def test_a_calibration_is_kept_and_read_by_later_plans(local: Store) -> None:
    sweep = read(local, "grid.seed=0", "grid.sparsity=0.9")
    rate = 1e-9  # seconds of a multiply-accumulate
    steps = 640 * MACS
    device = device_name("cpu")
    timings = [
        Timing("vgg_digits", method, sparsity, device, None, 0.2, 1.0, steps * rate, steps, 0.5, 1000, 50)
        for method, sparsity in (("dense", 0.0), ("snip", 0.9))
    ]
    calibrations.save(local, of_trial(expand(sweep)[0]).step, timings)
    found = of(sweep)
    assert (found.is_calibrated, found.measured_trials) == (True, 0)
    training = 10 * (IMAGES + VALIDATION / 3) * MACS * rate
    assert found.seconds.expected == pytest.approx(2 * (training + 0.5) + 0.2 * 128 * MACS)
    assert (found.memory_bytes, found.mask_bytes) == ({"vgg_digits": 1000}, 100)
    assert of(read(local, "training.batch_size=32")).seconds is None, "it was of other batches"


def test_a_calibration_begins_with_each_method_at_its_middle_sparsity(local: Store) -> None:
    sweep = read(local, "grid.sparsity=0.9,0.95,0.99")
    kinds = [(trial.method.name, trial.sparsity) for trial in representatives(expand(sweep))]
    assert kinds == [("dense", 0.0), ("snip", 0.95), ("snip", 0.9), ("snip", 0.99)]


@pytest.mark.slow
def test_a_calibration_without_images_or_with_a_network_that_fails_says_so(
    local: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "cores", lambda: 1)
    monkeypatch.chdir(tmp_path)
    method = "def score(problem):\n    raise RuntimeError('no scores today')\n"
    (tmp_path / "failing.py").write_text(method)
    settings = ["--store", str(local.uri), "--set", "grid.sparsity=0.9", "--set", "grid.seed=0"]
    failed = command("plan", "digits", *settings, "--set", "grid.method=failing.py:score", "--calibrate")
    assert failed.code == 2
    assert "could not be timed: RuntimeError: no scores today" in " ".join(failed.err.split())
    absent = command("plan", "cifar10_small", *settings, "--set", "data.download=false", "--calibrate")
    assert (absent.code, "no cifar10 in 'data'" in absent.err) == (2, True)


@pytest.mark.slow
def test_a_calibrated_plan_and_a_launch_that_tells_how_far_it_was_off(
    local: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "cores", lambda: 1)
    monkeypatch.setattr("sweep.launch.budget.calibrate.SECONDS", 0.1)
    settings = [
        "--store", str(local.uri), "--set", "grid.method=[snip, {name: force, rounds: 5}]", "--set", "grid.seed=0",
        "--set", "grid.sparsity=0.9", "--set", "training.epochs=1", "--set", "compute.dollars_per_hour=3.6",
        "--set", "tracking.enabled=false",
    ]  # fmt: skip
    planned = command("plan", "digits", *settings, "--calibrate", "--json")
    assert planned.code == 0, planned.err
    values = json.loads(planned.out)["budget"]
    assert values["from_calibration"] and values["trials"] == 2
    assert 0 < values["trial_seconds"]["low"] < values["trial_seconds"]["expected"] < values["trial_seconds"]["high"]
    assert values["dollars"]["expected"] == pytest.approx(values["trial_seconds"]["expected"] / 1000)
    refused = command("launch", "digits", *settings, "--local", "--max-cost", "0.0001")
    assert (refused.code, local.trials().num_rows) == (2, 0)
    assert "--max-cost 0.0001: the 2 trials that are left cost about $" in refused.err
    assert command("plan", "digits", *settings, "--max-cost", "0.0001").code == 2
    launched = command("launch", "digits", *settings, "--local", "--max-cost", "100")
    sentence = "of trial time for the 2 trials that the launch completed; they took"
    assert (launched.code, sentence in " ".join(launched.out.split())) == (0, True), launched.out
    [record] = local.sweeps()
    assert LaunchEstimate.of(record).start_seconds > 0
    written = write_report([local], local.local / "out", html=True)
    assert "## What the plan expected" in written.summary.read_text()
    assert sentence in written.page.read_text()
    again = command("plan", "digits", *settings)
    assert "budget" not in again.out, "nothing is left"


def test_only_trials_that_the_launch_completed_are_compared(local: Store) -> None:
    sweep = read(local, "grid.method=dense", "grid.seed=0,1,2")
    before, *others = expand(sweep)
    local.write(took(before, seconds=10.0))
    planned = plan(sweep, local)
    estimate = budget(planned, local, check_grid(sweep).networks).launch_estimate
    record_sweep(replace(planned, estimate=estimate), local)
    [record] = local.sweeps()
    rows = local.trials().to_pylist()
    assert deviation(record, rows) is None, "none has completed since"
    local.write(took(others[0], seconds=12.0))
    local.write(
        took(others[1], seconds=1.0)
        and replace(took(others[1], 1.0), trial=replace(took(others[1], 1.0).trial, status="failed"))
    )
    found = deviation(record, local.trials().to_pylist())
    assert (found.trials, found.expected.expected, found.measured) == (1, 10.0, 12.0)
    assert "they took 12 s, 20 % more." in found.sentence
    later = replace(estimate, made=estimate.made + timedelta(hours=1)).to_json()
    assert deviation(replace(record, estimate=later), local.trials().to_pylist()) is None
    assert deviation(replace(record, estimate="{}"), rows) is None, "of another version"


def test_a_plan_refuses_a_batch_that_is_larger_than_the_training_set(tmp_path: Path) -> None:
    result = command("plan", "digits", "--store", str(tmp_path / "results"), "--set", "pruning.batch_size=2000")
    assert result.code == 2
    assert "a round draws 2000 images, but there are only 1293 to train on" in result.err


@pytest.mark.parametrize("architecture", ["vgg_digits", "resnet20", "resnet18"])
def test_work_is_counted_without_a_pass_and_without_reading_images(tmp_path: Path, architecture: str) -> None:
    sweep = read_sweep("digits", [f"grid.architecture={architecture}", "data.train=0.5", "data.validation=100"])
    setup = Setup(expand(sweep)[0], load_data(sweep), "cpu")
    assert summaries(sweep)[architecture].macs == setup.macs_dense
    counted = data.counts(sweep.data)
    assert abs(counted.training - setup.images) <= 10, "one a class, by rounding"
    assert counted[1:] == (len(setup.splits.validation), len(setup.splits.test)) == (100, TEST)


def test_a_range_scales() -> None:
    assert Range(1.0, 2.0, 4.0).times(0.5) == (0.5, 1.0, 2.0)
