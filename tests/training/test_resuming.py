"""A training that is stopped between any two steps and goes on elsewhere is, to the bit, one that was left alone."""

import random
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
import torch
from torch import nn

from training import augment, checkpoint, data, seeding
from training.config import TrainConfig
from training.loop import Training, train

from .stopping import RECIPE, Made, Stopped, assert_stops_anywhere, bits, live

pytestmark = pytest.mark.slow  # launches, trainings or processes


class Counting(nn.Module):
    """Uses the number of its calls, stored in a non-persistent buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.calls += 1
        return x * (1 + 1 / (2 + self.calls))


class Drawing(nn.Module):
    """Draws from `random` and `numpy.random`, as stochastic depth often does."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            x = x * (random.random() + random.gauss(0, 0.1) + np.random.rand() + np.random.randn() / 9)
        return x


def network(dropout: float = 0.0, *, channels: int = 1, positions: int = 36, width: int = 4) -> nn.Module:
    with seeding.seeded(0, "weights"):
        return nn.Sequential(
            nn.Conv2d(channels, width, 3), nn.BatchNorm2d(width), nn.ReLU(), Counting(), nn.Flatten(),
            nn.Dropout(dropout), nn.Linear(width * positions, 4),
        )  # fmt: skip


@pytest.fixture
def splits(make_splits) -> data.Splits:
    """Steps of 16, 16 and 8 images."""
    return make_splits(56, validation=16)


def start(splits, config: TrainConfig = RECIPE, model: nn.Module | None = None, **options) -> Training:
    return Training(model or network(0.3), splits, config, 0, device="cpu", **options)


def stopped_after(steps: int, splits, **options) -> Training:
    """A training that its caller has stopped."""
    counted = count(1)

    def stop() -> None:
        if next(counted) == steps:
            raise Stopped

    training = start(splits, on_step=stop, **options)
    with pytest.raises(Stopped):
        list(training.run())
    return training


# --- stopped anywhere


@pytest.mark.parametrize(
    "config",
    [
        RECIPE,
        replace(RECIPE, nesterov=True, channels_last=False),
        replace(RECIPE, momentum=0.0),
        replace(RECIPE, optimizer="adam", learning_rate=0.01),
        replace(RECIPE, optimizer="adamw", learning_rate=0.01),
        replace(RECIPE, precision="bf16"),
        replace(RECIPE, precision="fp16"),
        replace(RECIPE, accumulate=2),
        replace(RECIPE, schedule="multistep", milestones=(1, 2), warmup_epochs=0),
    ],
    ids=["sgd", "nesterov", "no momentum", "adam", "adamw", "bf16", "fp16", "accumulate", "multistep"],
)
def test_a_training_can_be_stopped_after_every_step_and_epoch(splits, config):
    expected = assert_stops_anywhere(lambda: Made(network()), splits, config)
    assert expected.events == 1 + 3 * (3 + 1)


def test_dropout_goes_on_drawing_where_it_was_stopped(splits):
    assert_stops_anywhere(lambda: Made(network(0.5)), splits)


def test_a_network_that_draws_from_random_and_numpy_goes_on_drawing_where_it_was_stopped(splits):
    assert_stops_anywhere(lambda: Made(nn.Sequential(Drawing(), network())), splits)


def test_a_state_from_before_random_and_numpy_were_in_it_is_loaded(splits):
    state = stopped_after(4, splits).state()
    del state["random"]["python"], state["random"]["numpy"]
    training = start(splits)
    training.load(state)
    assert [result.epoch for result in training.run()] == [2, 3]


def test_images_are_shuffled_cropped_and_flipped_as_if_there_had_been_no_stop(make_splits):
    assert_stops_anywhere(lambda: Made(network()), make_splits(40, crop_padding=2))


def test_a_training_on_a_streamed_set_can_be_stopped_anywhere(photos):
    splits = data.split(data.load(photos), photos, 0, "cpu")
    model = lambda: Made(network(0.5, channels=3, positions=14 * 14, width=2))  # noqa: E731
    assert_stops_anywhere(model, splits, replace(RECIPE, batch_size=5))


def test_micro_batches_by_keyword_can_be_stopped_too(splits):
    expected = assert_stops_anywhere(lambda: Made(network(0.5)), splits, accumulate=3)
    assert expected.bits == live(lambda: Made(network(0.5)), splits, replace(RECIPE, accumulate=3)).bits
    assert expected.bits != live(lambda: Made(network(0.5)), splits).bits


def test_taking_states_changes_nothing(splits):
    whole, watched = start(splits), None
    expected = [replace(result, images_per_second=0, epoch_seconds=0) for result in whole.run()]
    watched = start(splits, on_step=lambda: checkpoint.dump(watched.state()))  # type: ignore[attr-defined]
    found = [replace(result, images_per_second=0, epoch_seconds=0) for result in watched.run()]
    assert found == expected
    assert bits(watched.state()) == bits(whole.state())


# --- a state


def test_a_state_is_plain_and_by_name(splits):
    state = stopped_after(4, splits).state()
    assert (state["epoch"], state["step"], state["images_seen"]) == (2, 1, 16)
    assert set(state["model"]) == {
        "0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked",
        "3.calls", "6.weight", "6.bias",
    }  # fmt: skip
    assert set(state["optimizer"]) == {"0.weight", "0.bias", "1.weight", "1.bias", "6.weight", "6.bias"}
    assert set(state["optimizer"]["6.bias"]) == {"momentum_buffer"}
    assert {type(tensor) for tensor in state["model"].values()} == {torch.Tensor}
    assert not any(tensor.requires_grad for tensor in state["model"].values())


def test_before_the_first_step_the_optimizer_has_no_state(splits):
    state = start(splits).state()
    assert (state["optimizer"], state["epoch"], state["step"], state["random"]) == ({}, 1, 0, None)
    assert start(splits, first_epoch=3).state()["epoch"] == 3


def test_between_epochs_a_state_is_at_the_start_of_the_next(splits):
    training = start(splits)
    next(epochs := training.run())
    state = training.state()
    assert (state["epoch"], state["step"], state["images_seen"], state["seconds"]) == (2, 0, 0, 0)
    assert (state["random"], state["scaler"], float(state["loss"])) == (None, None, 0)
    list(epochs)
    assert training.state()["epoch"] == 4


def test_a_state_is_not_a_copy(splits):
    model = network()
    state = start(splits, model=model).state()
    assert state["model"]["0.weight"].data_ptr() == model[0].weight.data_ptr()


@pytest.mark.parametrize("steps", [2, 3])
def test_a_training_that_its_caller_has_stopped_still_has_the_state_that_it_had_then(splits, steps):
    inside = {}

    def stop() -> None:
        if training.state()["step"] == steps:
            inside.update(bits(checkpoint.load(checkpoint.dump(training.state() | {"seconds": 0}))))
            raise Stopped

    training = start(splits, on_step=stop)
    with pytest.raises(Stopped):
        list(training.run())
    torch.manual_seed(5)
    assert bits(training.state() | {"seconds": 0}) == inside


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_a_training_that_breaks_within_a_step_has_no_state(splits, steps):
    model, done = network(), []

    def fail(*arguments: object) -> None:
        if len(done) == steps:
            raise KeyboardInterrupt

    model[6].register_full_backward_pre_hook(fail)
    training = start(splits, model=model, on_step=lambda: done.append(1))
    with pytest.raises(KeyboardInterrupt):
        list(training.run())
    with pytest.raises(RuntimeError, match="there is no state to go on from"):
        training.state()


def test_a_state_that_was_loaded_is_the_state_until_training_goes_on(splits):
    saved = checkpoint.dump(stopped_after(2, splits).state())
    training = start(splits)
    training.load(checkpoint.load(saved))
    assert bits(training.state()) == bits(checkpoint.load(saved))


def test_a_training_that_was_at_its_end_has_nothing_left_to_do(splits):
    training = start(splits)
    list(training.run())
    again = start(splits)
    again.load(training.state())
    assert list(again.run()) == []
    assert bits(again.state()) == bits(training.state())


def test_a_training_leaves_the_global_generator_alone_when_it_stops_and_goes_on(splits):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    state = stopped_after(4, splits).state()
    again = start(splits)
    again.load(state)
    list(again.run())
    assert torch.equal(torch.get_rng_state(), before)


def test_optimizer_tensors_lie_in_memory_as_their_parameters_do(splits):
    # the fused optimizers go through both in one loop
    state = stopped_after(2, splits, model=network(width=8)).state()
    for entries in state["optimizer"].values():
        entries["momentum_buffer"] = entries["momentum_buffer"].contiguous()
    training = start(splits, model=network(width=8))
    training.load(state)
    next(training.run())
    weight, found = training.state()["model"]["0.weight"], training.state()["optimizer"]["0.weight"]
    assert found["momentum_buffer"].stride() == weight.stride()


def test_the_time_before_a_stop_counts(splits):
    state = stopped_after(4, splits).state()
    assert state["seconds"] > 0
    training = start(splits)
    training.load(state | {"seconds": 1000.0})
    second, third = training.run()
    assert 1000 < second.epoch_seconds < 1100
    assert second.images_per_second == pytest.approx(40 / 1000, rel=0.1)
    assert third.epoch_seconds < 100


# --- not of this training


def refused(splits, state, match: str, model: nn.Module | None = None) -> None:
    before = bits((training := start(splits, model=model)).state())
    with pytest.raises(ValueError, match=match):
        training.load(state)
    assert bits(training.state()) == before


def test_the_state_of_another_network_is_refused_and_what_differs_is_named(splits):
    state = stopped_after(1, splits).state()
    refused(
        splits, state, r"0\.weight is torch.float32 \[4, 1, 3, 3\] in the state and torch.float32 \[8", network(width=8)
    )
    fewer = {name: tensor for name, tensor in state["model"].items() if name != "3.calls"}
    refused(splits, state | {"model": fewer}, r"3\.calls is missing in the state and torch.float32 \[\] here")
    more = state["model"] | {"7.weight": torch.zeros(2)}
    refused(splits, state | {"model": more}, r"7\.weight is torch.float32 \[2\] in the state and missing here")
    other = state["model"] | {"6.bias": torch.zeros(4, dtype=torch.float64)}
    refused(
        splits, state | {"model": other}, r"6\.bias is torch.float64 \[4\] in the state and torch.float32 \[4\] here"
    )


def test_the_state_of_another_optimizer_or_of_other_images_is_refused(splits, make_splits):
    state = stopped_after(3, splits).state()
    refused(splits, state | {"optimizer": {"7.weight": {}}}, r"its optimizer has 7\.weight, which this network lacks")
    refused(make_splits(20), state, "step is 3 in the state and at most 2 here")
    wide = {"1.weight": {"momentum_buffer": torch.zeros(8)}}
    refused(
        splits,
        state | {"optimizer": wide},
        r"the optimizer's momentum_buffer of 1\.weight is \[8\] in the state and \[4\] here",
    )
    del state["random"]
    refused(splits, state, "the training state has no 'random'")


# --- after each step


def test_on_step_is_called_after_the_masking_and_before_the_end_of_the_epoch(splits):
    calls: list[str] = []

    class Notes:
        def before_training(self, model, optimizer) -> None:
            calls.append("before training")

        def after_step(self) -> None:
            calls.append("masked")

        def after_epoch(self, epoch: int) -> None:
            calls.append("after epoch")

    list(train(network(), splits, RECIPE, 0, masking=Notes(), device="cpu", on_step=lambda: calls.append("told")))
    assert calls == ["before training", *(["masked", "told"] * 3 + ["after epoch"]) * 3]


def test_a_checkpoint_with_a_piece_for_each_image_goes_on_with_pieces_of_two(splits):  # as earlier versions made them
    assert start(splits, accumulate=16)._config.accumulate == 8


# --- batches from a later one on


@pytest.mark.parametrize("augmented", [True, False])
def test_batches_from_a_later_one_on_are_the_same_and_those_before_are_not_made(make_splits, monkeypatch, augmented):
    split, draws = make_splits(40).train, lambda: seeding.generator(0, "training", 1)
    whole = list(split.batches(16, generator=draws(), augment=augmented))
    made, apply = [], augment.apply
    monkeypatch.setattr(augment, "apply", lambda images, *a, **k: made.append(len(images)) or apply(images, *a, **k))
    for first in range(5):
        made.clear()
        rest = list(split.batches(16, generator=draws(), augment=augmented, first=first))
        assert len(rest) == max(0, 3 - first)
        for (images, labels), (its_images, its_labels) in zip(rest, whole[first:], strict=True):
            assert torch.equal(images, its_images) and torch.equal(labels, its_labels)
        assert made == ([16, 16, 8][first:] if augmented else [])
    assert torch.equal(torch.cat([labels for _, labels in split.batches(16, first=1)]), split.labels[16:])
