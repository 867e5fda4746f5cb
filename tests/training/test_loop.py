import math
import pickle
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from training import models, seeding
from training.config import TrainConfig
from training.loop import Diverged, EpochResult, evaluate, learning_rate, make_optimizer, train
from training.optimizer import steps_per_epoch

QUICK = TrainConfig(epochs=2, batch_size=16)


def network(*, dropout: float = 0.0, seed: int = 0) -> nn.Module:
    with seeding.seeded(seed, "weights"):
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(dropout),
            nn.Linear(4 * 36, 4),
        )  # fmt: skip


def linear() -> nn.Module:
    """Without batch statistics, so that a batch in pieces is the same batch."""
    with seeding.seeded(0, "weights"):
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 4))


def run(model: nn.Module, splits, config: TrainConfig = QUICK, seed: int = 0, **settings) -> list[EpochResult]:
    return list(train(model, splits, config, seed, device="cpu", **settings))


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def measured(results: list[EpochResult]) -> list[EpochResult]:
    """Results without time measurements."""
    return [replace(result, images_per_second=0, epoch_seconds=0) for result in results]


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


class Table(nn.Module):
    """Keeps a factor for each number of images, made when it first meets so many; and counts its batches."""

    def __init__(self):
        super().__init__()
        self.layers, self.factors = linear(), {}
        self.register_buffer("batches", torch.zeros(()))

    def forward(self, images):
        self.batches += 1
        if len(images) not in self.factors:
            self.factors[len(images)] = torch.full((len(images), 1), 0.5)
        return self.layers(images) * self.factors[len(images)]


class HalfMask:
    """Keeps every other weight of each matrix and kernel, and notes when it is called."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def before_training(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self.weights = [p for p in model.parameters() if p.dim() > 1]
        self.masks = [(torch.arange(p.numel()) % 2).reshape(p.shape) for p in self.weights]
        self.calls.append("before_training")
        self.apply()

    def apply(self) -> None:
        with torch.no_grad():
            for weight, mask in zip(self.weights, self.masks, strict=True):
                weight.mul_(mask)

    def after_step(self) -> None:
        self.moved = any(w[m == 0].any() for w, m in zip(self.weights, self.masks, strict=True))
        self.apply()
        self.calls.append("after_step")

    def after_epoch(self, epoch: int) -> None:
        self.calls.append(f"after_epoch {epoch}")


# --- the learning rate


def test_multistep_drops_after_its_milestone_epochs_and_not_before():
    config = TrainConfig(epochs=350, learning_rate=0.1, milestones=(150, 250))
    steps = 352
    rates = [learning_rate(config, (epoch - 1) * steps + step, steps) for epoch, step in
             ((1, 0), (150, 0), (150, steps - 1), (151, 0), (250, steps - 1), (251, 0), (350, steps - 1))]  # fmt: skip
    assert rates == pytest.approx([0.1, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


def test_cosine_starts_full_is_half_in_the_middle_and_nearly_zero_at_the_end():
    config = TrainConfig(epochs=4, learning_rate=0.2, schedule="cosine")
    assert learning_rate(config, 0, 10) == 0.2
    assert learning_rate(config, 20, 10) == pytest.approx(0.1)
    assert learning_rate(config, 10, 10) == pytest.approx(0.1 + 0.1 * math.cos(math.pi / 4))
    assert 0 < learning_rate(config, 39, 10) < 0.001


@pytest.mark.parametrize("schedule", ["cosine", "multistep", "constant"])
def test_warm_up_climbs_in_a_straight_line_and_the_schedule_goes_on_from_the_full_rate(schedule):
    config = TrainConfig(epochs=8, learning_rate=0.4, schedule=schedule, warmup_epochs=0.5)
    assert [learning_rate(config, step, 8) for step in range(5)] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4])


def test_cosine_falls_from_the_end_of_the_warm_up_to_the_end_of_the_training():
    config = TrainConfig(epochs=6, learning_rate=0.4, schedule="cosine", warmup_epochs=2)
    assert learning_rate(config, 40, 10) == pytest.approx(0.2)  # half way from step 20 to step 60


def test_a_warm_up_longer_than_the_training_still_has_a_rate():
    config = TrainConfig(epochs=1, learning_rate=0.4, schedule="cosine", warmup_epochs=2)
    assert learning_rate(config, 3, 4) == pytest.approx(0.2)


def test_the_rate_reported_is_that_of_the_last_step(make_splits):
    config = replace(QUICK, epochs=3, milestones=(2,))
    assert [result.learning_rate for result in run(network(), make_splits(), config)] == pytest.approx([0.1, 0.1, 0.01])
    config = replace(QUICK, schedule="cosine")  # of four steps an epoch
    assert [result.learning_rate for result in run(network(), make_splits(), config)] == [
        learning_rate(config, 3, 4), learning_rate(config, 7, 4),
    ]  # fmt: skip


# --- an epoch


def test_training_learns_and_reports_fractions(make_splits):
    splits = make_splits(256, validation=64)
    results = run(network(), splits, replace(QUICK, epochs=8))
    assert [result.epoch for result in results] == list(range(1, 9))
    assert results[-1].train_loss < results[0].train_loss
    assert results[-1].validation_accuracy > 0.8
    for result in results:
        assert 0 <= result.train_accuracy <= 1
        assert result.images_per_second > 0
        assert result.epoch_seconds > 0


def test_without_a_validation_split_there_is_no_validation_result(make_splits):
    result = run(network(), make_splits())[0]
    assert result.validation_loss is None
    assert result.validation_accuracy is None


def test_one_epoch_of_sgd_is_what_plain_torch_would_do(make_splits):
    splits = make_splits(40)
    config = TrainConfig(epochs=1, batch_size=16, nesterov=True, label_smoothing=0.1)
    ours, plain = linear(), linear()
    result = run(ours, splits, config)[0]
    optimizer = torch.optim.SGD(plain.parameters(), 0.1, momentum=0.9, nesterov=True, weight_decay=5e-4, foreach=False)
    losses, correct = 0.0, 0
    for images, labels in splits.train.batches(16, generator=seeding.generator(0, "training", 1), augment=True):
        logits = plain(images)
        loss = F.cross_entropy(logits, labels, label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses += loss.item() * len(labels)
        correct += (logits.argmax(1) == labels).sum().item()
    for found, expected in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(found, expected)
    assert result.train_loss == pytest.approx(losses / 40, rel=1e-6)
    assert result.train_accuracy == correct / 40


@pytest.mark.parametrize("accumulate", [2, 3, 8])
def test_micro_batches_make_the_step_of_the_whole_batch_also_when_uneven(make_splits, accumulate):
    splits = make_splits(40)  # batches of 16, 16 and 8
    whole, pieces = linear(), linear()
    expected = run(whole, splits)
    found = run(pieces, splits, replace(QUICK, accumulate=accumulate))
    for one, other in zip(pieces.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(one, other)
    assert found[-1].train_loss == pytest.approx(expected[-1].train_loss, rel=1e-5)


def test_the_network_sees_a_batch_in_as_many_pieces_as_accumulate_says(make_splits):
    model, seen = linear(), []
    model.register_forward_hook(lambda module, inputs, output: seen.append(len(output)))
    run(model, make_splits(40), replace(QUICK, epochs=1, accumulate=3))
    assert seen == [6, 6, 4, 6, 6, 4, 3, 3, 2]


@pytest.mark.parametrize("accumulate", [None, 8, 16])
def test_no_piece_of_a_batch_is_a_single_image(make_splits, accumulate):
    model, seen = linear(), []
    model.register_forward_hook(lambda module, inputs, output: seen.append(len(output)))
    list(train(model, make_splits(39), replace(QUICK, epochs=1, accumulate=8), 0, device="cpu", accumulate=accumulate))
    assert seen == [2] * 16 + [3, 2, 2]


@pytest.mark.parametrize(
    ("images", "batch_size", "steps"), [(32, 16, 2), (33, 16, 2), (34, 16, 3), (3, 16, 1), (1, 16, 1), (3, 1, 3)]
)
def test_only_a_last_batch_of_a_single_image_is_left_out(images, batch_size, steps):
    assert steps_per_epoch(images, batch_size) == steps


def test_a_last_batch_of_a_single_image_does_not_break_batch_norm(make_splits):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.BatchNorm1d(4))
    assert run(model, make_splits(33))[0].train_loss > 0


@pytest.mark.parametrize(
    ("name", "kind"), [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)]
)
def test_each_optimizer_trains_and_decays_every_parameter(make_splits, name, kind):
    config = replace(QUICK, optimizer=name, learning_rate=0.01)
    model = network()
    optimizer = make_optimizer(model, config)
    assert isinstance(optimizer, kind)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [5e-4]
    assert len(optimizer.param_groups[0]["params"]) == len(list(model.parameters()))
    results = run(model, make_splits(), config, optimizer=optimizer)
    assert results[1].train_loss < results[0].train_loss


@pytest.mark.parametrize(
    ("name", "kind"), [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)]
)
def test_each_optimizer_steps_as_torchs_does_to_the_bit_and_trades_states_with_it(name, kind):
    config = replace(QUICK, optimizer=name, learning_rate=0.01)
    ours, theirs = network(), network()
    usual = {"momentum": config.momentum, "nesterov": config.nesterov} if name == "sgd" else {}
    plain = kind(theirs.parameters(), lr=0.01, weight_decay=config.weight_decay, fused=True, **usual)
    optimizer, inputs = make_optimizer(ours, config), torch.randn(8, 1, 8, 8)
    for step in range(4):
        for model, each in ((ours, optimizer), (theirs, plain)):
            each.zero_grad()
            model(inputs).square().sum().backward()
            each.step()
        if step == 1:
            states = optimizer.state_dict(), plain.state_dict()
            optimizer.load_state_dict(states[1])
            plain.load_state_dict(states[0])
    assert same(state(ours), state(theirs))


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_low_precision_trains_close_to_full_precision_with_float32_weights(make_splits, precision):
    splits = make_splits(validation=16)
    low, full = network(), network()
    found = run(low, splits, replace(QUICK, precision=precision))
    expected = run(full, splits)
    assert found[-1].train_loss == pytest.approx(expected[-1].train_loss, rel=0.1)
    assert found[-1].train_loss != expected[-1].train_loss
    assert all(parameter.dtype == torch.float32 for parameter in low.parameters())


# --- the same again


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(make_splits):
    splits = make_splits(validation=16)
    models_, results = [], []
    for seed in (0, 0, 1):
        models_.append(network(dropout=0.5))
        results.append(measured(run(models_[-1], splits, seed=seed)))
    assert same(state(models_[0]), state(models_[1]))
    assert results[0] == results[1]
    assert not same(state(models_[0]), state(models_[2]))


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_resumed_training_equals_an_uninterrupted_one_bit_for_bit(make_splits, optimizer):
    splits = make_splits(validation=16)
    config = TrainConfig(
        epochs=4, batch_size=16, optimizer=optimizer, learning_rate=0.01, schedule="cosine", warmup_epochs=1.5
    )
    whole = network(dropout=0.5)
    expected = measured(run(whole, splits, config))

    first = network(dropout=0.5)
    started = make_optimizer(first, config)
    epochs = train(first, splits, config, 0, device="cpu", optimizer=started)
    for _ in range(2):
        next(epochs)
    saved = pickle.loads(pickle.dumps((state(first), started.state_dict())))

    torch.manual_seed(99)  # whatever else a new process has done
    second = network(dropout=0.5, seed=7)
    second.load_state_dict(saved[0])
    restored = make_optimizer(second, config)
    restored.load_state_dict(saved[1])
    rest = measured(run(second, splits, config, first_epoch=3, optimizer=restored))
    assert rest == expected[2:]
    assert same(state(second), state(whole))


def test_training_leaves_the_global_generator_alone(make_splits):
    model, splits = network(dropout=0.5), make_splits()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    run(model, splits)
    assert torch.equal(torch.get_rng_state(), before)


def test_channels_last_changes_the_layout_and_the_result_only_by_rounding(make_splits):
    splits = make_splits()
    one, other = network(), network()
    found = run(one, splits)
    expected = run(other, splits, replace(QUICK, channels_last=False))
    assert found[-1].train_loss == pytest.approx(expected[-1].train_loss, rel=1e-4)


# --- masks


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_momentum_and_weight_decay_do_not_change_removed_weights(make_splits, optimizer):
    masking, model = HalfMask(), network()
    for _ in train(model, make_splits(), replace(QUICK, optimizer=optimizer), 0, masking=masking, device="cpu"):
        assert masking.moved  # the optimizer alone would have
        for weight, mask in zip(masking.weights, masking.masks, strict=True):
            assert torch.count_nonzero(weight[mask == 0]) == 0
            assert torch.count_nonzero(weight[mask == 1]) == mask.sum()


def test_the_masking_is_called_before_training_after_each_step_and_after_each_epoch(make_splits):
    masking = HalfMask()
    run(network(), make_splits(40), masking=masking)
    epoch = ["after_step"] * 3
    assert masking.calls == ["before_training", *epoch, "after_epoch 1", *epoch, "after_epoch 2"]


# --- divergence


def test_a_loss_that_stops_being_finite_ends_the_training_with_what_was_measured(make_splits):
    config = TrainConfig(epochs=5, batch_size=16, learning_rate=1e30)
    results = train(linear(), make_splits(validation=16), config, 0, device="cpu")
    with pytest.raises(Diverged, match="stopped being finite in epoch") as caught:
        list(results)
    assert caught.value.epoch == caught.value.result.epoch
    assert not math.isfinite(caught.value.result.train_loss + caught.value.result.validation_loss)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (copy.epoch, str(copy)) == (caught.value.epoch, str(caught.value))


def test_only_the_epochs_before_the_divergence_are_yielded(make_splits):
    class Poison(HalfMask):
        def after_epoch(self, epoch: int) -> None:
            if epoch == 2:
                with torch.no_grad():
                    self.weights[0].fill_(math.nan)

    results = train(network(), make_splits(), replace(QUICK, epochs=5), 0, masking=Poison(), device="cpu")
    # without a validation split, epoch 3 is the first to meet the poison
    assert [next(results).epoch for _ in range(2)] == [1, 2]
    with pytest.raises(Diverged) as caught:
        next(results)
    assert caught.value.epoch == 3


def test_weights_that_break_after_the_last_step_are_noticed_in_validation(make_splits):
    class Poison(HalfMask):
        def after_epoch(self, epoch: int) -> None:
            with torch.no_grad():
                self.weights[0].fill_(math.nan)

    with pytest.raises(Diverged, match=r"epoch 1 .*validation nan") as caught:
        run(network(), make_splits(validation=16), masking=Poison())
    assert math.isfinite(caught.value.result.train_loss)


# --- evaluation


class Fixed(nn.Module):
    """Logits that do not depend on the image: class 0 at log 3, the other three at 0, so p(0) = 1/2."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.tensor([math.log(3), 0.0, 0.0, 0.0]).expand(len(images), 4)


def test_evaluation_is_the_mean_over_images_not_over_batches(make_splits):
    test = make_splits(10).test  # labels 0123012301: three zeros of ten
    accuracy, loss = evaluate(Fixed(), test, device="cpu", batch_size=4)
    assert accuracy == 0.3
    assert loss == pytest.approx(0.3 * math.log(2) + 0.7 * math.log(6))


def test_evaluation_uses_running_statistics_and_leaves_every_mode_and_buffer_as_it_was(make_splits):
    model, splits = network(dropout=0.5), make_splits()
    model.train()
    model[1].eval()  # a frozen normalisation inside a model in training
    before = state(model)
    first = evaluate(model, splits.test, device="cpu", batch_size=7)
    assert [module.training for module in model] == [True, False, True, True, True, True]  # type: ignore[attr-defined]
    assert same(state(model), before)
    assert first == pytest.approx(evaluate(model, splits.test, device="cpu", batch_size=64))


def test_a_network_that_keeps_tensors_in_evaluation_is_left_as_it_was_and_trains_on(make_splits):
    splits, model = make_splits(), Table()
    images = next(splits.train.batches(5))[0]
    evaluate(model, splits.test, device="cpu", batch_size=5)  # without gradients: none may be taken through its factors
    assert (model.factors, model.batches.item(), model.training) == ({}, 0, True)
    model(images).sum().backward()
    assert model.layers[1].weight.grad.any()
    evaluate(model, splits.test, device="cpu", batch_size=7)
    assert (set(model.factors), model.batches.item()) == ({5}, 1)
    assert len(run(model, splits)) == 2


def test_a_shipped_network_trains_from_images_to_results(make_splits):
    with seeding.seeded(0, "weights"):
        model = models.build("vgg_digits", classes=4, channels=1, size=8, width=4, depth=3)
    assert run(model, make_splits(128, validation=32), replace(QUICK, epochs=6))[-1].validation_accuracy > 0.5
