"""A trial from seed to records, on real images."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pruning.masks import digest
from pruning.packing import unpack
from sweep.config.config import read_sweep
from sweep.config.grid import expand, trial_id
from sweep.config.trial_config import trial_from
from sweep.store import Store
from sweep.trial.run import Interrupted, run_trial
from sweep.trial.settings import RunSettings
from training import data

from ..small import the_trial, with_compute

pytestmark = pytest.mark.slow  # launches, trainings or processes

CONFIGS = Path(__file__).parents[3] / "configs"
QUICK = [
    "training.epochs=2", "grid.seed=0", "grid.sparsity=0.9", "pruning.batch_size=32",
    "grid.architecture={name: vgg_digits, width: 8, depth: 4}",
    "grid.method=[dense, random, snip, grasp, {name: iter_snip, rounds: 3}, {name: force, rounds: 3}, {name: synflow, rounds: 3}]",
]  # fmt: skip


@pytest.fixture(scope="module")
def trials():
    return {t.method.name: t for t in expand(read_sweep(CONFIGS / "digits.yaml", QUICK))}


@pytest.fixture(scope="module")
def digits(trials):
    return data.load(trials["snip"].data)


@pytest.fixture(scope="module")
def outcomes(trials, digits):
    return {name: run_trial(trial, digits, settings=RunSettings(sweep="digits")) for name, trial in trials.items()}


def test_every_method_completes_with_all_records(outcomes, trials):
    for name, outcome in outcomes.items():
        assert (outcome.trial.status, outcome.trial.error_message) == ("completed", None)
        assert outcome.trial.trial_id == trial_id(trials[name])
        assert [e.epoch for e in outcome.epochs] == [1, 2]
        assert {r.trial_id for r in (*outcome.epochs, *outcome.masks)} == {outcome.trial.trial_id}


def test_a_trial_imports_neither_torchs_compiler_nor_scikit_learn_nor_torchvision():
    code = f"""
import sys
from sweep.config.config import read_sweep
from sweep.config.grid import expand
from sweep.trial.run import run_trial
for trial in expand(read_sweep({str(CONFIGS / "digits.yaml")!r}, sys.argv[1:])):
    record = run_trial(trial).trial
    assert (record.status, record.trained_macs < record.macs_dense) == ("completed", trial.method.name == "force")
print(*{{"torch._dynamo", "sklearn", "torchvision"}} & {{*sys.modules}})
"""
    settings = [
        "grid.method=[{name: force, rounds: 3}, rigl]",
        "grid.sparsity=0.99",
        "grid.seed=0",
        "training.epochs=1",
    ]
    done = subprocess.run([sys.executable, "-c", code, *settings], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_a_trial_run_twice_has_the_same_mask_metrics_and_weights_to_the_bit(outcomes, trials):
    for name in ("snip", "force", "random"):
        again = run_trial(trials[name]).trial  # and without the data handed in
        first = outcomes[name].trial
        for field in (
            "mask_hash",
            "test_accuracy",
            "test_loss",
            "train_loss",
            "validation_accuracy",
            "final_weights_hash",
        ):
            assert getattr(again, field) == getattr(first, field), field


def test_all_methods_at_one_seed_start_from_the_same_weights_and_see_the_same_batches(outcomes):
    for field in ("initial_weights_hash", "pruning_batches_hash", "training_order_hash", "data_fingerprint"):
        values = {getattr(outcome.trial, field) for outcome in outcomes.values()}
        assert len(values) == 1
        assert None not in values


def test_another_seed_has_other_weights_batches_and_order(trials, digits, outcomes):
    other = run_trial(replace(trials["snip"], seed=1), digits).trial
    for field in ("initial_weights_hash", "pruning_batches_hash", "training_order_hash", "mask_hash"):
        assert getattr(other, field) != getattr(outcomes["snip"].trial, field)


def test_the_kept_count_in_the_record_is_exact_and_agrees_with_the_masks(outcomes):
    for name, outcome in outcomes.items():
        record = outcome.trial
        assert record.kept == record.prunable - round(record.sparsity * record.prunable)
        bits = [unpack(m.encoding, m.packed, m.shape) for m in outcome.masks]
        assert sum(int(b.sum()) for b in bits) == record.kept, name
        assert [digest(b) for b in bits] == [m.hash for m in outcome.masks]
        assert record.achieved_sparsity == 1 - record.kept / record.prunable
        assert record.effective_sparsity >= record.achieved_sparsity


def test_revived_weights_are_recorded_by_round(outcomes):
    assert len(outcomes["force"].trial.rounds) == 3
    assert outcomes["force"].trial.revived == sum(r.revived for r in outcomes["force"].trial.rounds) > 0
    assert outcomes["iter_snip"].trial.revived == 0
    assert [r.kept for r in outcomes["snip"].trial.rounds] == [outcomes["snip"].trial.kept]


def test_the_record_says_what_where_and_with_which_code(outcomes, trials):
    record = outcomes["force"].trial
    assert trial_from(json.loads(record.config)) == trials["force"]
    assert (record.data, record.data_encoding, record.architecture, record.classes) == (
        "digits",
        "exact",
        "vgg_digits",
        10,
    )
    assert {"python", "torch", "torchvision", "sweep"} <= set(json.loads(record.versions))
    assert record.host
    assert record.device.startswith("cpu")
    assert record.seconds > 0
    assert record.peak_memory_bytes > 2**20


def test_accuracies_are_fractions_and_the_best_epoch_is_an_epoch(outcomes):
    record = outcomes["dense"].trial
    assert 0.3 < record.test_accuracy <= 1
    assert record.best_validation_accuracy == max(e.validation_accuracy for e in outcomes["dense"].epochs)
    assert outcomes["dense"].epochs[record.best_epoch - 1].validation_accuracy == record.best_validation_accuracy


def test_the_test_set_is_whole_and_apart_whatever_the_seed(digits):
    assert len(digits.test_labels) == 360
    assert torch.from_numpy(digits.test_labels).bincount().tolist() == [36] * 10


def test_a_loss_that_stops_being_finite_is_a_diverged_record_with_the_mask_kept(trials, digits):
    wild = replace(trials["snip"], training=replace(trials["snip"].training, learning_rate=1e30, warmup_epochs=0))
    outcome = run_trial(wild, digits)
    assert outcome.trial.status == "diverged"
    assert "finite" in outcome.trial.error_message
    assert outcome.masks
    assert outcome.trial.kept == outcome.trial.prunable - round(0.9 * outcome.trial.prunable)


def test_a_failure_is_a_record_with_type_message_and_traceback(trials, digits):
    impossible = replace(trials["snip"], pruning=replace(trials["snip"].pruning, batch_size=10**6))
    outcome = run_trial(impossible, digits)
    assert (outcome.trial.status, outcome.trial.error_type) == ("failed", "ValueError")
    assert "cannot draw 1000000 images" in outcome.trial.error_message
    assert "Traceback" in outcome.trial.traceback


def test_a_failure_that_cannot_say_what_it_is_is_a_record_all_the_same(trials, digits):
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    def fail(record):
        raise Mute

    record = run_trial(trials["random"], digits, on_epoch=fail).trial
    assert (record.status, record.error_type) == ("failed", "Mute")
    assert record.error_message == "(its message cannot be read: RuntimeError)"


def test_a_trial_asked_to_stop_is_recorded_as_interrupted_with_its_epochs(trials, digits):
    def stop(record):
        raise Interrupted

    outcome = run_trial(trials["snip"], digits, on_epoch=stop)
    assert (outcome.trial.status, outcome.trial.epochs, outcome.trial.test_accuracy) == ("interrupted", 1, None)


def test_removed_weights_are_zero_in_the_network_that_is_tested(trials, digits, monkeypatch):
    import sweep.trial.run as module

    seen = []
    real = module.loop.evaluate

    def spy(model, *args, **kwargs):
        seen.append({name: (p != 0).sum().item() for name, p in model.named_parameters() if p.dim() > 1})
        return real(model, *args, **kwargs)

    monkeypatch.setattr(module.loop, "evaluate", spy)
    outcome = run_trial(trials["snip"], digits)
    kept = {m.tensor: m.kept for m in outcome.masks}
    assert all(seen[-1][name] <= kept[name] for name in kept)


def test_outcomes_survive_the_store(outcomes, tmp_path):
    store = Store(tmp_path)
    for outcome in outcomes.values():
        written = store.write(outcome)
        assert store.trial(written.trial_id) == written
        assert written.mask_bytes > 0


@pytest.fixture(scope="module")
def sparse(digits):
    """FORCE at 99 % on a network wide enough to lose whole channels, trained small and whole."""
    settings = ["training.epochs=3", "grid.seed=0", "grid.sparsity=0.99", "grid.architecture=vgg_digits"]
    [trial] = expand(read_sweep(CONFIGS / "digits.yaml", [*settings, "grid.method={name: force, rounds: 5}"]))
    return run_trial(trial, digits), run_trial(trial, digits, with_compute(compact=False))


def test_the_compact_network_is_trained_by_default_and_the_record_says_what_that_saved(sparse, outcomes):
    small, whole = (outcome.trial for outcome in sparse)
    assert (small.status, whole.status) == ("completed", "completed")
    assert small.trained_weights < small.prunable / 2
    assert small.trained_macs <= 0.8 * small.macs_dense
    assert (whole.trained_weights, whole.trained_macs) == (whole.prunable, whole.macs_dense)
    assert outcomes["dense"].trial.trained_macs == outcomes["dense"].trial.macs_dense


def test_training_the_compact_network_changes_what_is_found_by_rounding_alone(sparse):
    small, whole = (outcome.trial for outcome in sparse)
    same = ("trial_id", "mask_hash", "kept", "prunable", "effective_sparsity", "macs_kept", "training_flops", "passes",
            "initial_weights_hash", "gradient_norm", "force_objective", "final_sparsity")  # fmt: skip
    for field in same:
        assert getattr(small, field) == getattr(whole, field), field
    first, other = (outcome.epochs[0] for outcome in sparse)
    assert first.train_loss == pytest.approx(other.train_loss, rel=1e-3)
    assert small.test_accuracy == pytest.approx(whole.test_accuracy, abs=0.05)


def test_a_mask_that_moves_is_trained_on_the_whole_network(digits):
    settings = ["training.epochs=1", "grid.seed=0", "grid.sparsity=0.99", "grid.method=[rigl]"]
    [trial] = expand(read_sweep(CONFIGS / "digits.yaml", settings))
    record = run_trial(trial, digits).trial
    assert (record.status, record.trained_macs) == ("completed", record.macs_dense)


def test_saliencies_in_bf16_come_near_those_in_fp32(trials, digits):
    low = replace(trials["snip"], pruning=replace(trials["snip"].pruning, precision="bf16"))
    one, other = (run_trial(trial, digits) for trial in (low, trials["snip"]))
    assert (one.trial.status, one.trial.kept) == ("completed", other.trial.kept)
    assert one.trial.mask_hash != other.trial.mask_hash
    masks = [{m.tensor: unpack(m.encoding, m.packed, m.shape) for m in o.masks} for o in (one, other)]
    both = sum(int((masks[0][name] & mask).sum()) for name, mask in masks[1].items())
    assert both > 0.8 * other.trial.kept


@pytest.mark.parametrize("graphs", ["auto", "off"])
def test_the_record_says_that_steps_ran_eagerly_where_there_is_no_gpu(digits, graphs):
    trial = the_trial("grid.method=random", "training.epochs=1")
    assert run_trial(trial, digits, with_compute(graphs=graphs)).trial.step == "eager"


def test_the_record_of_a_trial_without_training_names_no_kind_of_step(digits):
    assert run_trial(the_trial("grid.method=random", "training.epochs=0"), digits).trial.step is None
