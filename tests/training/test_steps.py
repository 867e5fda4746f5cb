"""Captured steps without a GPU: a stand-in calls the step again on its static inputs, as a replay would.

So the rule, the packed inputs and the fall-back are tested here; that a graph computes what the step does is tested in
test_cuda_steps.py.
"""

import warnings
from dataclasses import replace

import pytest
import torch
from torch import nn

import pruning
from pruning.graphs import NotCapturable
from training import evaluate as evaluation_module
from training import graphs, loop, models, seeding, steps
from training.evaluate import Evaluation, evaluate
from training.loop import Training
from training.optimizer import make_optimizer
from training.plan import StepInputs, pack

from .captured import QUICK, Counts, Draws, masked, network, trained
from .stopping import RECIPE, Made, assert_stops_anywhere, bits


@pytest.fixture
def stand_in(monkeypatch) -> None:
    """Steps and validation are captured on the CPU, too."""
    for module in (steps, loop):
        monkeypatch.setattr(module, "why_eager", lambda device, split, graphs: "off" if graphs == "off" else None)


# --- replays do what eager steps do


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"nesterov": True, "channels_last": False},
        {"momentum": 0.0},
        {"optimizer": "adam", "learning_rate": 0.01},
        {"optimizer": "adamw", "learning_rate": 0.01},
        {"schedule": "multistep", "milestones": (1, 2), "warmup_epochs": 0.0},
        {"schedule": "constant"},
        {"label_smoothing": 0.1},
        {"accumulate": 3},
        {"precision": "bf16"},
    ],
    ids=str,
)
def test_replayed_steps_and_validations_give_the_bits_of_eager_ones(make_splits, changes):
    splits, config = make_splits(56, validation=24, crop_padding=2), replace(QUICK, **changes)
    captured, eager = trained(splits, config), trained(splits, config, graphs="off")
    assert captured.outcome == eager.outcome
    assert [each.training.step for each in (captured, eager)] == ["graph", "eager"]
    assert [each.training.eager_reason for each in (captured, eager)] == [None, "off"]


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize(
    "masking",
    [masked("random"), masked("set"), masked("rigl", every=2), masked("rigl", every=3, until=1.0)],
    ids=["fixed", "set", "rigl", "rigl to the end"],
)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_masks_that_move_between_replays_move_as_between_eager_steps(make_splits, masking, optimizer):
    splits, config = make_splits(56, validation=16), replace(QUICK, optimizer=optimizer, learning_rate=0.01)
    captured = trained(splits, config, masking=masking)
    assert captured.outcome == trained(splits, config, masking=masking, graphs="off").outcome
    assert captured.training.step == "graph"


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_a_training_with_replays_can_be_stopped_anywhere(make_splits, dropout):
    config = replace(RECIPE, batch_size=8)  # steps of 8, 8 and 4
    assert_stops_anywhere(lambda: Made(network(dropout=dropout)), make_splits(36, validation=16), config)


@pytest.mark.usefixtures("stand_in")
def test_a_shipped_network_gives_the_same_bits_by_replays(make_splits):
    def build() -> nn.Module:
        with seeding.seeded(0, "weights"):
            return models.build("vgg_digits", classes=4, channels=1, size=8, width=4, depth=3)

    splits = make_splits(72, validation=16)
    assert trained(splits, model=build()).outcome == trained(splits, model=build(), graphs="off").outcome


def test_packed_inputs_come_out_as_they_went_in(make_splits):
    split = make_splits(40, crop_padding=2).train
    plan, inputs = split.plan(seeding.generator(0, "training", 1)), StepInputs(16, torch.device("cpu"))
    packed = pack(plan, 16, [0.1, 1e-300])
    for number, rate in enumerate((0.1, 1e-300)):
        inputs.values.copy_(packed[number])
        expected = plan.part(16 * number, 16 * number + 16)
        assert torch.equal(inputs.plan().rows, expected.rows)
        assert torch.equal(inputs.plan().draws.corners, expected.draws.corners)
        assert torch.equal(inputs.plan().draws.flips, expected.draws.flips)
        assert inputs.rate().item() == rate


# --- the rule


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"graphs": "off"}, "CUDA graphs are off"),
        ({"device": torch.device("cpu")}, "the device is cpu"),
        ({"split": None}, "the images are not in memory"),
        ({"precision": "fp16"}, "fp16 scales gradients by what the host sees"),
    ],
    ids=lambda value: str(value),
)
def test_steps_are_captured_on_a_gpu_with_data_in_memory_and_without_gradient_scaling(make_splits, changes, reason):
    usual = {"device": torch.device("cuda"), "split": make_splits().train, "graphs": "auto", "precision": "bf16"}
    optimizer = make_optimizer(network(), QUICK)
    assert steps.why_eager_steps(**usual | changes, optimizer=optimizer) == reason


@pytest.mark.parametrize("kind", ["sgd", "adam", "adamw"])
def test_every_optimizer_of_a_recipe_reads_its_rate_from_the_device(make_splits, kind):
    optimizer = make_optimizer(network(), replace(QUICK, optimizer=kind))
    assert steps.why_eager_steps(torch.device("cuda"), make_splits().train, "auto", "fp32", optimizer) is None


def test_an_optimizer_that_is_not_fused_is_not_captured(make_splits):
    optimizer = torch.optim.SGD(network().parameters(), 0.1)
    reason = steps.why_eager_steps(torch.device("cuda"), make_splits().train, "auto", "fp32", optimizer)
    assert reason == "SGD is not fused, and takes its learning rate from the host"


@pytest.mark.parametrize(
    ("masking", "answers"),
    [
        (masked("random"), [False] * 5),
        (masked("set"), [False] * 5),
        (masked("rigl", every=2), [False, True, False, True, False]),
        (masked("imp", rounds=1), [False] * 5),
        (masked("magnitude_after"), [False] * 5),
    ],
    ids=["fixed", "set", "rigl", "imp", "magnitude after"],
)
def test_only_steps_in_which_rigl_moves_its_mask_need_the_host(make_splits, masking, answers):
    its = masking(network(), make_splits(), "cpu")
    assert [its.before_step() for _ in range(5)] == answers


def test_a_masking_of_ones_own_that_does_something_in_steps_takes_part_in_all_of_them(make_splits):
    class Noting(pruning.FixedMask):
        def after_step(self):
            super().after_step()

    masks = masked("random")(network(), make_splits(), "cpu").masks
    assert Noting(masks).before_step()
    assert not pruning.FixedMask(masks).before_step()


@pytest.mark.usefixtures("stand_in")
def test_a_masking_that_does_not_say_whether_it_needs_the_host_is_never_left_out(make_splits):
    class Counting:
        steps = 0

        def before_training(self, model, optimizer):
            pass

        def after_step(self):
            self.steps += 1

        def after_epoch(self, epoch):
            pass

    masking = Counting()
    training = trained(make_splits(), masking=lambda model, splits, device: masking).training
    assert (masking.steps, training.step) == (16, "eager")


# --- the fall-back


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize(
    ("more", "reason"),
    [(Counts, "it changes 0.calls with every pass"), (Draws, "it draws from Python's random")],
)
def test_a_network_that_a_replay_would_freeze_trains_eagerly_after_one_warning(make_splits, more, reason):
    splits = make_splits(72)
    with pytest.warns(RuntimeWarning, match="run eagerly") as caught:
        ended = trained(splits, model=network(more()))
    assert [str(each.message) for each in caught] == [
        f"training steps run eagerly, not as a CUDA graph: the network cannot be captured: {reason}"
    ]
    assert ended.training.step == "eager"
    assert ended.training.eager_reason == f"the network cannot be captured: {reason}"
    assert ended.outcome == trained(splits, model=network(more()), graphs="off").outcome


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_a_capture_that_fails_changes_no_result(make_splits, monkeypatch, fails_at):
    splits, calls = make_splits(80, validation=24), []

    def fails(function, device, pool=None):
        calls.append(function)
        if len(calls) == fails_at:
            raise NotCapturable("capturing failed: no")
        return function

    monkeypatch.setattr(graphs, "capture", fails)
    with pytest.warns(RuntimeWarning, match="capturing failed: no"):
        ended = trained(splits)
    assert ended.outcome == trained(splits, graphs="off").outcome


@pytest.mark.usefixtures("stand_in")
def test_running_out_of_memory_in_a_capture_is_running_out_of_memory(make_splits, monkeypatch):
    def fails(function, device, pool=None):
        raise torch.OutOfMemoryError("no")

    monkeypatch.setattr(graphs, "capture", fails)
    with pytest.raises(torch.OutOfMemoryError):
        trained(make_splits())


def test_no_warning_where_the_rule_says_eager(make_splits):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        training = trained(make_splits()).training
    assert (training.step, training.eager_reason) == ("eager", "the device is cpu")


# --- validation


@pytest.mark.parametrize("images", [16, 40, 24])
def test_a_replayed_evaluation_gives_the_bits_of_an_eager_one_and_leaves_the_model_alone(make_splits, images):
    model, split = network(), make_splits(images).test
    model.train()
    model[1].eval()
    replayed = Evaluation(model, split, device="cpu", batch_size=16, reason=None)
    before = bits({"model": dict(model.state_dict())})
    for number in range(5):
        with torch.no_grad():
            model[0].weight += number
        assert replayed() == evaluate(model, split, device="cpu", batch_size=16)
        assert [module.training for module in model.children()] == [True, False, True, True, True, True]
    assert replayed._replay is not None
    assert {name for name, value in bits({"model": dict(model.state_dict())}).items() if before[name] != value} == {
        "/model/0.weight"
    }


def test_buffers_that_a_network_writes_to_in_evaluation_are_put_back_after_replays(make_splits):
    class Batches(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("batches", torch.zeros(()))

        def forward(self, images):
            self.batches += 1
            return images * self.batches

    model, split = network(Batches()), make_splits(56).test
    replayed = Evaluation(model, split, device="cpu", batch_size=16, reason=None)
    for _ in range(5):
        assert replayed() == evaluate(model, split, device="cpu", batch_size=16)
        assert model[0].batches == 0


def test_a_network_that_keeps_tensors_in_evaluation_is_evaluated_eagerly(make_splits):
    class Keeps(nn.Module):
        kept = None

        def forward(self, images):
            self.kept = images
            return images

    model, split = network(Keeps()), make_splits(32).test
    evaluation = Evaluation(model, split, device="cpu", batch_size=16, reason=None)
    evaluation()
    with pytest.warns(RuntimeWarning, match="validation runs eagerly"):
        evaluation()
    assert evaluation.reason == "it changes 0.kept with every pass"
    assert evaluation() == evaluate(model, split, device="cpu", batch_size=16)


# --- graphs that are given up


@pytest.mark.usefixtures("stand_in")
def test_graphs_from_before_the_generator_was_replaced_are_captured_again(make_splits, monkeypatch):
    captured = []

    def capture(function, device, pool=None):
        captured.append(function)
        return function

    monkeypatch.setattr(graphs, "capture", capture)
    splits = make_splits(72, validation=24)
    expected = trained(splits).outcome
    before = len(captured)
    for module in (steps, evaluation_module):
        monkeypatch.setattr(module, "renewals", iter(range(1000)).__next__)  # before every replay
    assert trained(splits).outcome == expected
    assert len(captured) > 2 * before + 1


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("whole", [True, False])
def test_a_training_that_ends_or_is_left_gives_up_its_graphs(make_splits, whole):
    training = Training(network(), make_splits(72, validation=24), QUICK, 0, device="cpu")
    results = training.run()
    for _ in range(3):
        next(results)
    assert training._graphs._replays
    if whole:
        list(results)
    else:
        results.close()  # type: ignore[attr-defined]
    assert not training._graphs._replays
    assert training._evaluate._replay is None
    assert training.step == "graph"
