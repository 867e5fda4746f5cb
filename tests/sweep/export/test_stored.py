"""Masks and weights of a stored trial as tensors: on a disk and on S3, checked against what the trial recorded."""

import json
from dataclasses import replace

import pytest
import torch

import pruning
import sweep
from pruning.packing import unpack
from sweep.config.config import read_sweep
from sweep.config.grid import expand
from sweep.errors import InputError
from sweep.export.stored import stored_network
from sweep.store.folding import fold
from sweep.trial.hashes import weights_hash
from sweep.trial.networks import build_network
from sweep.trial.run import run_trial
from training import data, loop

from ..small import sweep as run
from .conftest import DIGITS, QUICK


def test_masks_and_weights_come_back_from_a_disk_and_from_s3_folded_or_not(store, outcomes, force):
    for outcome in outcomes:
        store.write(outcome)
    before = sweep.load_masks(store, force), sweep.final_weights(store, force)
    for mask in outcomes[0].masks:
        assert torch.equal(before[0][mask.tensor], unpack(mask.encoding, mask.packed, mask.shape))
    fold(store)
    after = sweep.load_masks(store.uri, force[:6]), sweep.final_weights(store.uri, force[:6])
    for one, other in zip(before, after, strict=True):
        assert list(one) == list(other)
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_final_weights_are_those_that_were_tested(results, outcomes, force):
    record, weights = outcomes[0].trial, sweep.final_weights(results, force)
    masks = sweep.load_masks(results, force)
    assert list(weights) == list(stored_network(results, record, "initial", masks).state_dict())
    assert all(not weights[name][~mask].any() for name, mask in masks.items())
    assert sum(int(weights[name].count_nonzero()) for name in masks) == record.kept
    model = stored_network(results, record, "final", masks)
    [trial, _] = expand(read_sweep(DIGITS, QUICK))
    splits = data.split(data.load(trial.data), trial.data, trial.seed, torch.device("cpu"))
    accuracy, _ = loop.evaluate(model, splits.test, device=torch.device("cpu"), precision="fp32")
    assert accuracy == record.test_accuracy


def test_initial_weights_are_made_again_from_the_seed(results, outcomes, force, random):
    [trial, _] = expand(read_sweep(DIGITS, QUICK))
    network = build_network(trial.architecture, trial.data)
    network.load_state_dict(sweep.initial_weights(results, force))
    assert weights_hash(network) == outcomes[0].trial.initial_weights_hash
    other = sweep.initial_weights(results, random)  # the same at one seed, whatever the method
    assert all(torch.equal(tensor, other[name]) for name, tensor in network.state_dict().items())


def test_pruning_again_at_the_initial_weights_of_a_random_trial_applies_its_mask(results, random):
    [_, trial] = expand(read_sweep(DIGITS, QUICK))
    network = build_network(trial.architecture, trial.data)
    network.load_state_dict(sweep.initial_weights(results, random))
    masks = sweep.load_masks(results, random)
    pruning.apply(network, masks)
    assert sum(int((w != 0).sum()) for w in pruning.prunable(network).values()) == pruning.masks.count(masks)


def test_initial_weights_that_cannot_be_made_again_are_refused(store, outcomes):
    other = replace(outcomes[0], trial=replace(outcomes[0].trial, initial_weights_hash="0" * 64))
    record = store.write(other)
    with pytest.raises(
        InputError, match=rf"^trial {record.trial_id}: its initial weights cannot be made again here: .*"
    ):
        sweep.initial_weights(store, record.trial_id)


@pytest.mark.parametrize("own", ["missing_package.nets:build", "json:loads"])
def test_a_network_that_cannot_be_built_here_is_named(local, outcomes, own):
    config = json.loads(outcomes[0].trial.config)
    config["architecture"]["name"] = own
    local.write(replace(outcomes[0], trial=replace(outcomes[0].trial, config=json.dumps(config))))
    with pytest.raises(InputError, match=own.partition(":")[0]):
        sweep.initial_weights(local, outcomes[0].trial.trial_id)


def test_redrawn_weights_are_those_that_training_started_from(local):
    settings = [*QUICK, "grid.method=random", "grid.ablation=reinitialize"]
    [trial] = expand(read_sweep(DIGITS, settings))
    record = local.write(run_trial(trial))
    [plain] = expand(read_sweep(DIGITS, [*QUICK, "grid.method=random"]))
    other = local.write(run_trial(plain))
    redrawn, first = (sweep.initial_weights(local, one.trial_id) for one in (record, other))
    assert record.initial_weights_hash == other.initial_weights_hash
    assert not torch.equal(redrawn["classifier.weight"], first["classifier.weight"])


def test_weights_that_were_not_kept_are_refused_with_the_command_that_makes_them(results, random):
    with pytest.raises(InputError) as caught:
        sweep.final_weights(results, random)
    assert f"sweep retry {random} --force --set compute.keep_weights=final --store {results.name}" in str(caught.value)


def test_an_unknown_trial_and_an_absent_store_are_refused(results, tmp_path):
    with pytest.raises(InputError, match="trial 'xyz' is not in"):
        sweep.load_masks(results, "xyz")
    with pytest.raises(InputError, match="does not exist"):
        sweep.load_masks(tmp_path / "nowhere", "a")
    assert list(tmp_path.iterdir()) == []


def test_a_trial_that_failed_before_it_had_masks_says_so(local, outcomes):
    record = replace(outcomes[0].trial, status="failed", mask_hash=None, kept_weights_hash=None)
    local.write(replace(outcomes[0], trial=record, masks=(), weights=(), epochs=()))
    with pytest.raises(InputError, match="has no masks in .*: it is failed"):
        sweep.load_masks(local, record.trial_id)
    with pytest.raises(InputError, match="has no masks"):
        sweep.final_weights(local, record.trial_id)


def test_a_rerun_compares_the_kept_weights_to_the_last_bit(results, outcomes, force):
    done = run("trial", "rerun", force, "--store", results.uri, "--json")
    assert done.code == 0, done.err
    compared = {row["field"]: row for row in json.loads(done.out)}
    assert compared["kept_weights_hash"]["again"] == outcomes[0].trial.kept_weights_hash
    assert compared["kept_weights_hash"]["agrees"]
