"""Ablations, baselines and prices in whole trials, on real images."""

from pathlib import Path

import pytest

import pruning
from pruning.macs import positions
from pruning.packing import unpack
from sweep.config.config import read_sweep
from sweep.config.grid import expand
from sweep.trial.networks import build_network
from sweep.trial.run import run_trial
from training import data

CONFIGS = Path(__file__).parents[3] / "configs"
QUICK = [
    "training.epochs=3", "grid.seed=0", "grid.sparsity=0.9", "pruning.batch_size=32",
    "grid.architecture={name: vgg_digits, width: 8, depth: 4}",
]  # fmt: skip
IMAGES, STEPS = 1293, 21  # of digits, a tenth held out; in batches of 64


def trials(*settings: str):
    return expand(read_sweep(CONFIGS / "digits.yaml", [*QUICK, *settings]))


@pytest.fixture(scope="module")
def digits():
    return data.load(trials()[0].data)


@pytest.fixture(scope="module")
def ablations(digits):
    axis = "grid.ablation=[none, shuffle_layerwise, reinitialize, invert]"
    return {t.ablation: run_trial(t, digits) for t in trials("grid.method=snip", axis)}


@pytest.fixture(scope="module")
def baselines(digits):
    methods = "[dense, snip, {name: force, rounds: 3}, {name: imp, rounds: 2, rewind_epoch: 1}, magnitude_after, set, {name: rigl, every: 5}]"
    return {t.method.name: run_trial(t, digits) for t in trials(f"grid.method={methods}")}


def bits(outcome):
    return {m.tensor: unpack(m.encoding, m.packed, m.shape) for m in outcome.masks}


@pytest.mark.slow
def test_an_ablation_starts_from_the_same_weights_and_batches_and_is_named_in_the_record(ablations):
    assert {name: o.trial.ablation for name, o in ablations.items()} == {name: name for name in ablations}
    assert all(o.trial.status == "completed" for o in ablations.values())
    assert ablations["invert"].trial.method_label == "snip ablation=invert"
    for field in ("initial_weights_hash", "pruning_batches_hash", "training_order_hash"):
        assert len({getattr(o.trial, field) for o in ablations.values()}) == 1


def test_a_shuffled_mask_is_another_one_with_each_layers_count(ablations):
    plain, shuffled = ablations["none"], ablations["shuffle_layerwise"]
    assert [m.kept for m in shuffled.masks] == [m.kept for m in plain.masks]
    assert all(a.hash != b.hash for a, b in zip(plain.masks, shuffled.masks, strict=True))


def test_reinitialising_keeps_the_mask_and_changes_the_weights_under_it(ablations):
    plain, fresh = ablations["none"].trial, ablations["reinitialize"].trial
    assert fresh.mask_hash == plain.mask_hash
    assert fresh.force_objective != plain.force_objective
    assert fresh.final_weights_hash != plain.final_weights_hash


def test_an_inverted_mask_keeps_as_many_weights_and_none_of_those_that_score_highest(ablations):
    plain, inverted = ablations["none"], ablations["invert"]
    assert inverted.trial.kept == plain.trial.kept
    ours, theirs = bits(plain), bits(inverted)
    assert not any(bool((ours[name] & theirs[name]).any()) for name in ours)
    assert inverted.trial.force_objective < plain.trial.force_objective / 100


@pytest.mark.slow
def test_baselines_complete_with_the_exact_count_above_chance(baselines):
    for name, outcome in baselines.items():
        record = outcome.trial
        assert (record.status, record.error_message) == ("completed", None), name
        removed = 0 if name == "dense" else round(0.9 * record.prunable)
        assert sum(int(b.sum()) for b in bits(outcome).values()) == record.prunable - removed == record.kept
        assert record.test_accuracy > 0.3, name


@pytest.mark.slow
def test_every_methods_epochs_are_those_of_all_its_trainings(baselines):
    epochs = {name: [e.epoch for e in o.epochs] for name, o in baselines.items()}
    assert epochs["snip"] == epochs["rigl"] == epochs["set"] == [1, 2, 3]
    assert epochs["imp"] == list(range(1, 1 + 1 + 3 * 2))  # one to rewind to, then three trainings of two
    assert epochs["magnitude_after"] == list(range(1, 7))
    assert [e.learning_rate for e in baselines["imp"].epochs[1:3]] == [
        e.learning_rate for e in baselines["imp"].epochs[5:]
    ]


def test_the_epochs_to_come_are_known_before_the_first(baselines):
    for trial in trials("grid.method=[snip, {name: imp, rounds: 2, rewind_epoch: 1}, magnitude_after, rigl]"):
        expected = pruning.find(trial.method.name).rehearse(dict(trial.method.options), trial.training.epochs)
        assert expected == len(baselines[trial.method.name].epochs)


def test_passes_and_flops_by_hand(baselines):
    trial = trials("grid.method=snip")[0]
    uses = positions(build_network(trial.architecture, trial.data), (1, 8, 8))
    for name, scoring in (("snip", 2), ("force", 6)):
        outcome = baselines[name]
        record = outcome.trial
        dense = sum(uses[m.tensor] * m.total for m in outcome.masks)
        kept = sum(uses[m.tensor] * m.kept for m in outcome.masks)
        assert (record.macs_dense, record.macs_kept) == (dense, kept)
        assert (record.prune_passes, record.passes) == (scoring, scoring + 3 * 2 * STEPS)
        assert record.prune_flops == 2 * dense * 3 * 32 * scoring / 2  # a forward and twice that backward, 32 images
        assert record.training_flops == record.prune_flops + 2 * kept * 3 * 3 * IMAGES
        assert record.training_flops_share == record.training_flops / (2 * dense * 3 * 3 * IMAGES)
        assert (record.speedup, record.compression_ratio) == (dense / kept, record.prunable / record.kept)
    assert baselines["dense"].trial.training_flops_share == 1.0


def test_the_price_of_a_lottery_ticket_is_that_of_all_its_trainings(baselines):
    record = baselines["imp"].trial
    assert record.passes == record.prune_passes + 7 * 2 * STEPS
    assert 1.0 < record.training_flops_share < 7 / 3  # the first training is dense, the others are not
    assert record.training_flops_share > baselines["snip"].trial.training_flops_share


def test_rigl_pays_for_the_gradients_of_removed_weights(baselines):
    record, still = baselines["rigl"].trial, baselines["set"].trial
    assert (record.passes, record.macs_kept) == (still.passes, still.macs_kept)  # both are ERK
    updates = len(record.rounds)
    assert updates > 0
    dense_gradients = 2.0 * (record.macs_dense - record.macs_kept) * 64 * updates
    assert record.training_flops - still.training_flops == pytest.approx(dense_gradients, rel=1e-9)


def test_a_mask_that_moves_is_stored_as_it_ended_with_the_counts_it_started_with(baselines):
    for name in ("set", "rigl"):
        record, masks = baselines[name].trial, baselines[name].masks
        assert record.revived > 0
        assert [m.start_kept for m in masks] == [m.kept for m in masks]  # layer by layer, the same number elsewhere
        assert record.final_sparsity == pytest.approx(record.achieved_sparsity)


def test_rounds_of_a_lottery_ticket_never_revive(baselines):
    rounds = baselines["imp"].trial.rounds
    assert [r.revived for r in rounds] == [0, 0]
    assert rounds[-1].kept == baselines["imp"].trial.kept < rounds[0].kept


def test_the_force_objective_of_a_round_is_that_of_the_mask_it_started_from(baselines, digits):
    rounds = baselines["force"].trial.rounds
    [dense] = baselines["snip"].trial.rounds
    assert rounds[0].force_objective == dense.force_objective  # both are of the dense network, on the same batch
    assert all(r.force_objective > 0 for r in rounds)
    assert baselines["imp"].trial.rounds[0].force_objective is None


def test_diagnostics_are_there_at_the_start_and_at_the_end(baselines):
    for outcome in baselines.values():
        record = outcome.trial
        for name in (
            "effective_sparsity",
            "empty_layers",
            "disconnected",
            "macs_kept",
            "gradient_norm",
            "force_objective",
        ):
            assert getattr(record, name) is not None
            assert getattr(record, f"final_{name}") is not None
        assert record.final_gradient_norm != record.gradient_norm
        assert all(m.effective_density == m.effective_kept / m.total <= m.density for m in outcome.masks)


def test_a_method_that_needs_more_batches_is_given_them_beside_those_of_all(digits, baselines):
    prospr = run_trial(trials("grid.method=prospr")[0], digits).trial
    assert prospr.status == "completed", prospr.error_message
    assert prospr.pruning_batches_hash == baselines["snip"].trial.pruning_batches_hash
