"""A trial from seed to records, on real images."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pruning.masks import digest
from pruning.packing import unpack
from sweep.config import read_sweep, trial_from
from sweep.grid import expand, trial_id
from sweep.store import Store
from sweep.trial import Interrupted, run_trial
from training import data

CONFIGS = Path(__file__).parents[2] / "configs"
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
    return {name: run_trial(trial, digits, sweep="digits") for name, trial in trials.items()}


def test_every_method_completes_with_all_records(outcomes, trials):
    for name, outcome in outcomes.items():
        assert (outcome.trial.status, outcome.trial.error_message) == ("completed", None)
        assert outcome.trial.trial_id == trial_id(trials[name])
        assert [e.epoch for e in outcome.epochs] == [1, 2]
        assert {r.trial_id for r in (*outcome.epochs, *outcome.masks)} == {outcome.trial.trial_id}


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


def test_a_trial_asked_to_stop_is_recorded_as_interrupted_with_its_epochs(trials, digits):
    def stop(record):
        raise Interrupted

    outcome = run_trial(trials["snip"], digits, on_epoch=stop)
    assert (outcome.trial.status, outcome.trial.epochs, outcome.trial.test_accuracy) == ("interrupted", 1, None)


def test_removed_weights_are_zero_in_the_network_that_is_tested(trials, digits, monkeypatch):
    import sweep.trial as module

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
