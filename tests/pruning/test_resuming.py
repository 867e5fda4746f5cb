"""Masks in a training that is stopped anywhere and goes on elsewhere: the same masks, weights and results to the bit."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import pruning
from pruning.compaction.compaction import compact
from pruning.methods.lottery import Lottery
from pruning.methods.rigl import RigL
from pruning.methods.sparse_evolution import SparseEvolution
from training import checkpoint, seeding
from training.data import Splits
from training.loop import Training
from training.optimizer import steps_per_epoch

from ..training.stopping import RECIPE, Made, Stopped, assert_stops_anywhere, bits, bright_rows, live, tensors
from .networks import linear
from .steps import bits as mask_of
from .steps import short, still

IMAGE = (1, 8, 8)


def network(dropout: float = 0.2) -> nn.Module:
    """Two convolutions with BatchNorm, dropout, a classifier."""
    with seeding.seeded(0, "weights"):
        return nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(6, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(dropout), nn.Flatten(),
            nn.Linear(32, 4),
        )  # fmt: skip


@pytest.fixture(scope="module")
def splits() -> Splits:
    """Steps of 16, 16 and 8 images."""
    return bright_rows(56, validation=16)


def made(method: str, splits: Splits, sparsity: float = 0.7, **options) -> Made:
    """As a trial makes it."""
    model, preset = network(), pruning.find(method)
    steps = steps_per_epoch(len(splits.train), RECIPE.batch_size)
    horizon = pruning.TrainingHorizon(sparsity, RECIPE.epochs, steps, torch.Generator().manual_seed(1))
    masks = pruning.prune(
        model, method, 0.0 if preset.starts_dense else sparsity, generator=torch.Generator().manual_seed(2)
    ).masks
    return Made(model, preset.masking(masks, horizon, **options) if preset.masking else pruning.FixedMask(masks))


# --- stopped anywhere

METHODS = {
    "fixed": ("random", {}, 1),
    "rigl": ("rigl", {"every": 2, "until": 1.0}, 1),
    "set": ("set", {}, 1),
    "imp": ("imp", {"rounds": 2}, 3),
    "imp, rewound to epoch 1": ("imp", {"rounds": 2, "rewind_epoch": 1}, 3),
    "magnitude after": ("magnitude_after", {"rounds": 2}, 3),
    "magnitude after, retrained for an epoch": ("magnitude_after", {"rounds": 2, "retrain": 1}, 3),
}


@pytest.mark.slow
@pytest.mark.parametrize(("method", "options", "trainings"), METHODS.values(), ids=METHODS)
def test_every_masking_can_be_stopped_after_every_step_and_epoch_of_all_its_trainings(
    splits, method, options, trainings
):
    expected = assert_stops_anywhere(lambda: made(method, splits, **options), splits)
    assert sum(result.epoch == RECIPE.epochs for result in expected.results) == trainings
    changes = {name for name in expected.bits if name.startswith("/masking/rounds/")}
    assert bool(changes) == (method != "random")


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
@pytest.mark.parametrize("method", ["random", "rigl", "set"])
def test_masks_that_move_take_adams_moments_with_them_after_a_stop(splits, method, optimizer):
    config = replace(RECIPE, optimizer=optimizer, learning_rate=0.01)
    options = {"every": 2} if method == "rigl" else {}
    assert_stops_anywhere(lambda: made(method, splits, **options), splits, config)


def test_low_precision_and_micro_batches_can_be_stopped_with_a_moving_mask(splits):
    config = replace(RECIPE, precision="bf16", accumulate=2)
    assert_stops_anywhere(lambda: made("rigl", splits, every=2), splits, config)


# --- zeros


@pytest.mark.parametrize("method", ["random", "rigl", "set", "imp"])
def test_masking_a_masked_network_again_changes_no_bit_and_no_sign_of_a_zero(splits, method):
    its = made(method, splits)
    its.masking.before_training(its.model, still(its.model))
    if method == "imp":  # which is dense at first
        its.masking.after_training(its.model)
        its.masking.before_training(its.model, still(its.model))
    zeros = [weight[weight == 0] for weight in pruning.prunable(its.model).values()]
    assert any(torch.signbit(each).any() for each in zeros) and not all(torch.signbit(each).all() for each in zeros)
    before = bits(tensors(its.model))
    its.masking.before_training(its.model, still(its.model))
    assert bits(tensors(its.model)) == before
    its.masking.after_step()
    assert bits(tensors(its.model)) == before


# --- the masking's own state


def test_a_masking_is_restored_with_its_masks_rounds_draws_and_cost():
    model = linear([1.0, 2.0, 3.0, 4.0])
    first = SparseEvolution(mask_of(1, 1, 0, 0), short(epochs=3, seed=1), drop=0.5)
    first.before_training(model, still(model))
    first.after_epoch(1)
    first.dense_gradients = 7
    second = SparseEvolution(mask_of(0, 1, 1, 0), short(epochs=3, seed=2), drop=0.5)
    second.load(checkpoint.load(checkpoint.dump(first.state())))
    assert second.masks["0.weight"].equal(first.masks["0.weight"])
    assert (second.rounds, second.dense_gradients) == (first.rounds, 7)
    assert second.horizon.generator.get_state().equal(first.horizon.generator.get_state())


def test_rigl_is_restored_with_its_step():
    model = linear([1.0, 2.0])
    first, second = (RigL(mask_of(1, 0), short(steps=9), every=4) for _ in range(2))
    optimizer = still(model)
    first.before_training(model, optimizer)
    for _ in range(3):
        first.before_step()
        optimizer.step()
        first.after_step()
    assert first.state()["step"] == 3
    second.load(first.state())
    assert bits(second.state()) == bits(first.state())


def test_a_lottery_ticket_that_goes_on_keeps_what_it_rewinds_to():
    def training(weights: list[float]) -> tuple[nn.Module, Lottery]:
        return linear(weights), Lottery(mask_of(1, 1), short(epochs=2))

    model, first = training([1.0, 2.0])
    first.before_training(model, still(model))
    model, second = training([5.0, 6.0])  # in the middle of a training
    second.load(checkpoint.load(checkpoint.dump(first.state())))
    second.before_training(model, still(model))
    assert second.after_training(model) == 1
    assert model[0].weight.tolist() == [[1.0, 2.0]]
    assert len(second.state()["rounds"]) == 1


def test_the_state_of_other_masks_or_of_another_method_is_refused():
    masking = pruning.FixedMask(mask_of(1, 0, 1))
    with pytest.raises(ValueError, match=r"the mask of 0\.weight is \[1, 2\] there and \[1, 3\] here"):
        masking.load(pruning.FixedMask(mask_of(1, 0)).state())
    with pytest.raises(ValueError, match=r"the mask of 0\.weight is None there and \[1, 3\] here"):
        masking.load(pruning.FixedMask({"1.weight": torch.ones(1, dtype=torch.bool)}).state())
    with pytest.raises(ValueError, match="it has .*'step'.*, not .*'generator'"):
        masking.load(RigL(mask_of(1, 0, 1), short()).state())


# --- compacted


def dead(model: nn.Module) -> pruning.Masks:
    """Masks that disconnect some channels of each layer, and remove weights of others too."""
    masks = pruning.prune(model, "random", 0.3, generator=torch.Generator().manual_seed(3)).masks
    masks["0.weight"][[1, 4]] = False
    masks["4.weight"][[0, 5, 6]] = False
    return masks


def compacted() -> Made:
    """As in a trial: the weights are written back to the original at the end."""
    model = network()
    small = compact(model, dead(model), IMAGE)
    assert (small.model[0].out_channels, small.model[4].out_channels) == (4, 5)

    def end() -> nn.Module:
        small.restore(model)
        return model

    return Made(small.model, pruning.FixedMask(small.masks), lambda state: small.widen(state, model), small.narrow, end)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_compacted_training_can_be_stopped_anywhere_and_its_checkpoints_are_the_originals(splits, optimizer):
    config = replace(RECIPE, optimizer=optimizer, learning_rate=0.02)
    expected = assert_stops_anywhere(compacted, splits, config)
    assert expected.bits["/end/4.weight"].startswith("torch.float32 [8, 6, 3, 3]")
    saved = checkpoint.load(live(compacted, splits, config, stop=3).saved)["training"]
    original = Training(network(), splits, config, 0, device="cpu")
    original.load(saved)  # by its names, and in its shapes


@pytest.fixture(params=["sgd", "adam"])
def stopped(request, splits):
    """A compact network's training, its compaction and original."""
    model = network()
    small = compact(model, dead(model), IMAGE)

    def stop() -> None:
        raise Stopped

    config = replace(RECIPE, optimizer=request.param)
    training = Training(
        small.model, splits, config, 0, masking=pruning.FixedMask(small.masks), device="cpu", on_step=stop
    )
    with pytest.raises(Stopped):
        list(training.run())
    return training.state(), small, model


def test_a_wider_state_has_the_originals_values_where_something_was_dropped_and_zeros_in_the_optimizer(stopped):
    state, small, model = stopped
    wide, left = small.widen(state, model), [0, 2, 3, 5]
    assert {n: t.shape for n, t in wide["model"].items()} == {n: t.shape for n, t in tensors(model).items()}
    weight, original = wide["model"]["0.weight"], model[0].weight
    assert weight[left].equal(state["model"]["0.weight"]) and weight[[1, 4]].equal(original[[1, 4]])
    assert wide["model"]["1.running_mean"][left].equal(state["model"]["1.running_mean"])
    for key, value in wide["optimizer"]["0.weight"].items():
        its = state["optimizer"]["0.weight"][key]
        if its.ndim:
            assert value[left].equal(its) and value.shape == original.shape and not value[[1, 4]].any()
        else:
            assert value.equal(its)
    assert {n: each for n, each in wide.items() if n not in ("model", "optimizer")} == {
        n: each for n, each in state.items() if n not in ("model", "optimizer")
    }


def test_narrowing_what_was_widened_gives_the_same_bits(stopped):
    state, small, model = stopped
    before = bits(state)
    assert "/model/7.kept" in before  # which channels the dropout has left
    saved = checkpoint.dump(small.widen(state, model))
    again = compact(network(), dead(network()), IMAGE)
    assert bits(again.narrow(checkpoint.load(saved))) == before
    assert bits(state) == before


def test_a_state_of_another_network_is_not_narrowed(stopped):
    state, small, model = stopped
    with pytest.raises(ValueError, match=r"0\.weight is \[4, 1, 3, 3\] in the state and \[6, 1, 3, 3\] here"):
        small.narrow(state)
    wide = small.widen(state, model)
    del wide["model"]["9.bias"]
    with pytest.raises(ValueError, match=r"9\.bias is missing in the state and \[4\] here"):
        small.narrow(wide)
