"""Magnitude pruning after training and lottery tickets: removed weights, rewound values, retrained epochs."""

from itertools import pairwise

import pytest
import torch
from torch import nn

import pruning
from pruning.masks import count, full, kept_count
from pruning.methods.lottery import Lottery
from pruning.methods.magnitude_after import MagnitudeAfter
from training import loop

from .networks import linear
from .trainings import RECIPE, accuracy, digits, fit, horizon, masking_of, vgg

METHODS = ["magnitude_after", "imp"]
TOTAL = sum(weight.numel() for weight in pruning.prunable(vgg()).values())


def short(sparsity: float = 0.5, epochs: int = 4, invert: bool = False) -> pruning.TrainingHorizon:
    return pruning.TrainingHorizon(sparsity, epochs, 2, torch.Generator(), invert)


def start(kind: type[MagnitudeAfter], model: nn.Module, its: pruning.TrainingHorizon, **options) -> MagnitudeAfter:
    masking = kind(full(pruning.prunable(model)), its, **options)
    masking.before_training(model, sgd(model))
    return masking


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.1)


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def kept(masking: pruning.Masking) -> list[int]:
    return masking.masks["0.weight"].flatten().nonzero().flatten().tolist()


# --- what goes, by hand


def test_the_smallest_weights_are_removed_after_training():
    model = linear([9.0, 9.0, 9.0, 9.0])
    masking = start(MagnitudeAfter, model, short())
    model[0].weight.data = torch.tensor([[1.0, -4.0, -2.0, 3.0]])  # what training made of them
    assert masking.after_training(model) == 1
    assert kept(masking) == [1, 3]
    assert masking.after_training(model) is None


def test_inverted_the_largest_weights_are_removed():
    model = linear([1.0, -4.0, -2.0, 3.0])
    masking = start(MagnitudeAfter, model, short(invert=True))
    masking.after_training(model)
    assert kept(masking) == [0, 2]


def test_of_equal_weights_the_first_are_kept():
    model = linear([2.0, -2.0, 2.0, -2.0])
    masking = start(MagnitudeAfter, model, short())
    masking.after_training(model)
    assert kept(masking) == [0, 1]


def test_the_threshold_is_global_unless_the_scope_says_otherwise():
    for scope, expected in (("global", [2, 0]), ("layerwise", [1, 1])):
        model = nn.Sequential(nn.Linear(2, 1, bias=False), nn.Linear(1, 2, bias=False))
        model[0].weight.data, model[1].weight.data = torch.tensor([[8.0, 9.0]]), torch.tensor([[1.0], [2.0]])
        masking = start(MagnitudeAfter, model, short(), scope=scope)
        masking.after_training(model)
        assert [int(mask.sum()) for mask in masking.masks.values()] == expected


def test_a_floor_keeps_a_layer_from_becoming_empty():
    model = nn.Sequential(nn.Linear(2, 1, bias=False), nn.Linear(1, 2, bias=False))
    model[0].weight.data, model[1].weight.data = torch.tensor([[8.0, 9.0]]), torch.tensor([[1.0], [2.0]])
    masking = start(MagnitudeAfter, model, short(), floor=0.5)
    masking.after_training(model)
    assert {name: mask.flatten().tolist() for name, mask in masking.masks.items()} == {
        "0.weight": [False, True], "1.weight": [False, True],
    }  # fmt: skip


def test_each_round_removes_the_same_fraction_of_kept_weights_and_regrows_none():
    # d = 1/8 in three rounds: half of them each time. A weight that has gone is no candidate, however large
    model = linear([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
    masking, found = start(MagnitudeAfter, model, short(0.875), rounds=3), []
    while masking.after_training(model) is not None:
        found.append(kept(masking))
        model[0].weight.data.copy_(torch.tensor([[100.0, 90.0, 80.0, 70.0, 4.0, 3.0, 2.0, 1.0]]))
    assert found == [[4, 5, 6, 7], [4, 5], [4]]
    assert [(r.round, r.kept, r.lost, r.revived) for r in masking.rounds] == [(1, 4, 4, 0), (2, 2, 2, 0), (3, 1, 1, 0)]


def test_twenty_rounds_and_one_remove_the_papers_fifth_a_round():
    # ln 0.01 / ln 0.8 = 20.6: in 21 rounds to 99 %, each keeps 0.01^(1/21) = 0.803 of the survivors
    model = linear([float(i) for i in range(10_000)])
    masking = start(Lottery, model, short(0.99), rounds=21)
    for _ in range(21):
        masking.after_training(model)
    left = [10_000, *(r.kept for r in masking.rounds)]
    assert all(after / before == pytest.approx(0.8, abs=0.01) for before, after in pairwise(left))
    assert left[-1] == 100


# --- what is rewound


class Network(nn.Module):
    """Has all kinds of values to rewind: weights, biases, BatchNorm's buffers and a non-persistent buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.norm, self.outer = nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 3)
        self.register_buffer("calls", torch.zeros(()), persistent=False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.outer(self.norm(self.inner(inputs)))


def whole_state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {n: t.detach().clone() for n, t in [*model.named_parameters(), *model.named_buffers()]}


@pytest.mark.parametrize("rewind_epoch", [0, 1, 2])
def test_parameters_and_buffers_are_rewound_to_the_end_of_the_epoch(rewind_epoch):
    torch.manual_seed(0)
    model = Network()
    masking, optimizer = start(Lottery, model, short(0.7), rounds=2, rewind_epoch=rewind_epoch), sgd(model)
    states, first = {0: whole_state(model)}, 1
    for _ in range(2):
        for epoch in range(first, 5):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(torch.randn(8, 4)), torch.randint(3, (8,))).backward()
            optimizer.step()
            masking.after_step()
            masking.after_epoch(epoch)
            states.setdefault(epoch, whole_state(model))
        first = masking.after_training(model)
        assert first == rewind_epoch + 1
        masking.before_training(model, optimizer)
        for name, tensor in whole_state(model).items():
            mask = masking.masks.get(name, torch.ones_like(tensor, dtype=torch.bool))
            assert torch.equal(tensor[mask], states[rewind_epoch][name][mask])
            assert not tensor[~mask].any()
        assert not torch.equal(states[4]["norm.running_mean"], model.norm.running_mean)  # there was something to rewind


def test_masks_replaced_after_pruning_apply_to_all_rewound_weights():
    # as a control does that shuffles the mask
    model = linear([1.0, 2.0, 3.0, 4.0])
    masking = start(Lottery, model, short())
    model[0].weight.data.copy_(torch.tensor([[0.1, 0.2, 30.0, 40.0]]))
    masking.after_training(model)
    masking.masks = {"0.weight": torch.tensor([[True, False, False, True]])}
    masking.before_training(model, sgd(model))
    assert model[0].weight.tolist() == [[1.0, 0.0, 0.0, 4.0]]


def test_without_rewinding_training_goes_on_from_the_values_that_it_ended_with():
    model = linear([9.0, 9.0, 9.0, 9.0])
    masking = start(MagnitudeAfter, model, short(), retrain=3)
    model[0].weight.data.copy_(torch.tensor([[1.0, -4.0, -2.0, 3.0]]))
    assert masking.after_training(model) == 2  # of 4 epochs the last 3
    masking.before_training(model, sgd(model))
    assert model[0].weight.tolist() == [[0.0, -4.0, 0.0, 3.0]]


# --- real trainings


@pytest.mark.parametrize("method", METHODS)
def test_a_real_training_learns_and_ends_with_exactly_the_weights_that_it_should(method):
    model = vgg()
    masking = masking_of(method, model, horizon(0.8), rounds=2)
    assert count(masking.masks) == TOTAL  # dense at first
    trainings = fit(model, masking)
    assert len(trainings) == 3
    assert accuracy(model) > 0.5
    assert [r.kept for r in masking.rounds] == [round(TOTAL * 0.2**0.5), kept_count(TOTAL, 0.8)]
    assert all(r.revived == 0 for r in masking.rounds)
    nonzero = sum(int(weight.count_nonzero()) for weight in pruning.prunable(model).values())
    assert nonzero == count(masking.masks) == kept_count(TOTAL, 0.8)
    assert masking.dense_gradients == 0


@pytest.mark.parametrize(("rounds", "rewind_epoch"), [(1, 0), (2, 2)])
def test_lottery_tickets_train_the_rewound_epochs_once_and_the_others_once_a_round(rounds, rewind_epoch):
    model = vgg()
    trainings = fit(model, masking_of("imp", model, horizon(0.8), rounds=rounds, rewind_epoch=rewind_epoch))
    epochs = [result.epoch for training in trainings for result in training]
    assert epochs == [1, 2, 3] + rounds * list(range(rewind_epoch + 1, 4))
    assert len(epochs) == rewind_epoch + (rounds + 1) * (3 - rewind_epoch)
    rates = {result.epoch: result.learning_rate for result in trainings[0]}
    assert all(result.learning_rate == rates[result.epoch] for training in trainings for result in training)


@pytest.mark.parametrize(("retrain", "again"), [(0, [1, 2, 3]), (1, [3])])
def test_retraining_is_the_last_epochs_of_the_recipe_and_by_default_all_of_them(retrain, again):
    model = vgg()
    trainings = fit(model, masking_of("magnitude_after", model, horizon(0.8), retrain=retrain))
    assert [[result.epoch for result in training] for training in trainings] == [[1, 2, 3], again]
    assert trainings[1][-1].learning_rate == trainings[0][-1].learning_rate


def test_the_first_training_is_that_of_the_dense_network_and_the_last_starts_from_its_weights_after_the_epoch():
    dense, k = vgg(), 1
    for result in loop.train(dense, digits(), RECIPE, 0, device="cpu"):
        if result.epoch == k:
            rewound = state(dense)
    model = vgg()
    masking = masking_of("imp", model, horizon(0.8), rounds=1, rewind_epoch=k)
    for _ in loop.train(model, digits(), RECIPE, 0, masking=masking, device="cpu"):
        pass
    assert all(torch.equal(tensor, dense.state_dict()[name]) for name, tensor in model.state_dict().items())
    assert masking.after_training(model) == k + 1
    masking.before_training(model, sgd(model))
    for name, tensor in model.state_dict().items():
        expected = rewound[name] * masking.masks[name] if name in masking.masks else rewound[name]
        assert torch.equal(tensor, expected)


# --- what is refused


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("imp", {"rewind_epoch": 4}, "rewind_epoch: must be at least 0 and below the 4 epochs of training, not 4"),
        ("imp", {"rewind_epoch": -1}, "rewind_epoch: must be at least 0 and below the 4 epochs of training, not -1"),
        ("imp", {"rounds": 0}, "rounds: must be at least 1, not 0"),
        ("imp", {"floor": 2.0}, "floor: "),
        ("magnitude_after", {"rounds": 0}, "rounds: must be at least 1, not 0"),
        ("magnitude_after", {"retrain": 5}, "retrain: must be between 0 and the 4 epochs of training, not 5"),
        ("magnitude_after", {"retrain": -1}, "retrain: must be between 0 and the 4 epochs of training, not -1"),
    ],
)
def test_an_option_out_of_range_is_refused(method, options, message):
    with pytest.raises(ValueError, match=message):
        pruning.find(method).masking({"0.weight": torch.ones(1, 4).bool()}, short(), **options)


def test_there_is_no_lottery_without_training():
    with pytest.raises(ValueError, match="below the 0 epochs of training"):
        Lottery({"0.weight": torch.ones(1, 4).bool()}, short(epochs=0))


def test_weights_that_are_not_finite_are_named():
    model = linear([1.0, float("nan")])
    with pytest.raises(ValueError, match="0.weight are not numbers"):
        start(MagnitudeAfter, model, short()).after_training(model)
