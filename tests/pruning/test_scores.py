"""A method's scores are checked in one place, and a method that writes to its inputs is detected."""

import re

import pytest
import torch
from torch import nn

import pruning
from pruning import registry
from pruning.masks import count
from pruning.method import Method

from .networks import batch, convolutional

NAMES = ["0.weight", "4.weight", "10.weight"]


@pytest.fixture
def own(monkeypatch):
    """Register a function of the scores |θ| as the method "own"."""

    def add(function, **preset):
        monkeypatch.setitem(registry._METHODS, "own", Method("own", "", function, **preset))

    return add


def magnitudes(problem):
    return {name: weight.abs() for name, weight in problem.dense.items()}


def put(name, value):
    """A change of magnitudes in one place."""
    return lambda scores: {**scores, name: value(scores[name])}


BAD = {
    "None": (lambda scores: None, "method own returned None; wanted: a dict of one tensor"),
    "a list": (lambda scores: list(scores.values()), "method own returned of type builtins.list; wanted: a dict"),
    "a layer left out": (
        lambda scores: {name: scores[name] for name in NAMES[1:]},
        "method own gave no scores for 0.weight; wanted: one tensor of scores for each of the 3",
    ),
    "nothing": (lambda scores: {}, "gave no scores for 0.weight, 4.weight, 10.weight; wanted"),
    "an extra layer": (
        lambda scores: {**scores, "1.weight": torch.ones(8)},
        "method own gave scores for 1.weight; wanted: scores of the 3 prunable parameters alone (0.weight, 4.weight",
    ),
    "a wrong shape": (
        put("4.weight", lambda score: score.flatten()),
        "scores of 4.weight are a tensor [1152] of float32 on cpu; wanted: a tensor [16, 8, 3, 3] of float32 or",
    ),
    "a shape that broadcasts": (put("10.weight", lambda score: score[:1]), "scores of 10.weight are a tensor [1, 16]"),
    "one number": (put("0.weight", lambda score: 1.0), "scores of 0.weight are of type builtins.float; wanted"),
    "no tensor": (put("0.weight", lambda score: None), "scores of 0.weight are None; wanted"),
    "numpy": (put("0.weight", lambda score: score.detach().numpy()), "of 0.weight are of type numpy.ndarray; wanted"),
    "bfloat16": (put("0.weight", torch.Tensor.bfloat16), "of 0.weight are a tensor [8, 3, 3, 3] of bfloat16 on cpu"),
    "half": (put("0.weight", torch.Tensor.half), "[8, 3, 3, 3] of float16 on cpu; wanted"),
    "whole numbers": (put("0.weight", torch.Tensor.int), "[8, 3, 3, 3] of int32 on cpu; wanted"),
    "truths": (put("0.weight", torch.Tensor.bool), "[8, 3, 3, 3] of bool on cpu; wanted"),
    "complex": (put("0.weight", lambda score: score + 1j), "[8, 3, 3, 3] of complex64 on cpu; wanted"),
    "another device": (put("0.weight", lambda score: score.to("meta")), "of float32 on meta; wanted: a tensor [8, 3"),
    "sparse": (put("0.weight", torch.Tensor.to_sparse), "on cpu in layout torch.sparse_coo; wanted"),
    "infinite": (
        put("4.weight", lambda score: score.index_fill(0, torch.tensor(3), torch.inf)),
        "method own: of the 1152 scores of 4.weight, 72 infinite; wanted: finite numbers",
    ),
    "minus infinity": (put("4.weight", lambda score: score - torch.inf), "of 4.weight, 1152 infinite; wanted"),
    "NaN and infinite": (
        put("4.weight", lambda score: torch.cat([score[:8] / 0, score[8:] * torch.nan])),
        "of 4.weight, 576 NaN and 576 infinite; wanted",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_scores_of_any_other_kind_are_refused_by_method_layer_and_what_was_wanted(own, kind):
    change, message = BAD[kind]
    own(lambda problem: change(magnitudes(problem)))
    with pytest.raises(ValueError, match=re.escape(message)):
        pruning.prune(convolutional(), "own", 0.5, [batch()])


@pytest.mark.parametrize("scope", ["layerwise", "erk"])
def test_a_layer_without_scores_is_refused_whatever_the_scope_and_the_round(own, scope):
    def forgetful(problem):
        return {n: s for n, s in magnitudes(problem).items() if problem.round == 1 or n != "4.weight"}

    own(forgetful, rounds=3, scope=scope)
    with pytest.raises(ValueError, match="method own gave no scores for 4.weight"):
        pruning.prune(convolutional(), "own", 0.5, [batch()])


def test_scores_may_be_double_need_gradients_and_come_in_any_order(own):
    own(magnitudes)
    plain = pruning.prune(convolutional(), "own", 0.8).masks

    def other(problem):
        scores = {name: weight.abs().double().requires_grad_() for name, weight in problem.dense.items()}
        return dict(reversed(scores.items()))

    own(other)
    masks = pruning.prune(convolutional(), "own", 0.8).masks
    assert list(masks) == NAMES
    assert all(torch.equal(masks[name], plain[name]) for name in NAMES)


def test_sums_of_finite_scores_may_overflow(own):
    own(lambda problem: {name: torch.full_like(weight, 3e38) for name, weight in problem.dense.items()})
    assert count(pruning.prune(convolutional(), "own", 0.5).masks) == 716


WRITES = {
    "to a weight": lambda problem: problem.dense["4.weight"].abs_(),
    "to a parameter of the model": lambda problem: problem.model[4].weight.data.mul_(2),
    "behind autograd's back": lambda problem: problem.dense["4.weight"].data.numpy().__imul__(0.5),
    "NaN": lambda problem: problem.dense["4.weight"].fill_(torch.nan),
}


@pytest.mark.parametrize("where", WRITES)
def test_a_method_that_writes_to_the_network_is_named_and_the_network_has_its_values_back(own, where):
    model = convolutional()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def careless(problem):
        WRITES[where](problem)
        return {name: weight.abs().nan_to_num() for name, weight in problem.dense.items()}

    own(careless)
    with pytest.raises(ValueError, match="^method own wrote to 4.weight of the network in place"):
        pruning.prune(model, "own", 0.5)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_the_network_has_its_values_back_where_the_method_raises_too(own):
    model = convolutional()
    before = model[4].weight.detach().clone()

    def broken(problem):
        problem.dense["4.weight"].zero_()
        raise KeyError("of its own")

    own(broken)
    with pytest.raises(KeyError, match="of its own"):
        pruning.prune(model, "own", 0.5)
    assert torch.equal(model[4].weight, before)


def test_a_forward_pass_in_train_mode_leaves_batchnorm_as_it_was(own):
    model = convolutional()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def direct(problem):
        problem.model(problem.batches[0][0])
        return magnitudes(problem)

    own(direct)
    pruning.prune(model, "own", 0.5, [batch()])
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_network_with_weights_that_are_no_numbers_is_not_taken_for_changed(own):
    model = convolutional()
    model[1].weight.data.fill_(torch.nan)
    own(magnitudes)
    assert count(pruning.prune(model, "own", 0.5).masks) == 716


def test_a_method_that_writes_to_the_masks_is_named(own):
    def careless(problem):
        problem.masks["0.weight"].zero_()
        return magnitudes(problem)

    own(careless)
    with pytest.raises(ValueError, match="^method own wrote to problem.masks in place"):
        pruning.prune(convolutional(), "own", 0.5)


def test_a_network_that_writes_to_its_inputs_is_refused_rather_than_shown_other_images_in_the_next_pass():
    class Normalising(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = convolutional()

        def forward(self, images):
            return self.inner(images.sub_(0.5))

    with pytest.raises(ValueError, match=r"wrote to a batch in place.*images.clone\(\)"):
        pruning.prune(Normalising(), "force", 0.5, [batch()], rounds=2)
