"""Networks with modules or weights under several names, and those that store tensors as attributes: unchanged after scoring."""

from collections import Counter, OrderedDict, defaultdict, deque

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.fx.immutable_collections import immutable_list
from torch.nn import functional as F

import pruning
from pruning.diagnostics import diagnose, effective, positions
from pruning.functional import call, unchanged
from pruning.masks import count, kept_count

from .networks import SHARING, Caching, batch, convolutional, sharing, whole_state
from .test_conformance import METHODS, data, few_rounds

SHAPE = (3, 8, 8)


def total(model: nn.Module) -> int:
    """Prunable weights, a shared one counted once."""
    return sum(p.numel() for name, p in model.named_parameters() if p.ndim > 1)


def prune(model: nn.Module, method: str, sparsity: float = 0.7, **options) -> pruning.Masks:
    rounds = few_rounds(method)
    return pruning.prune(model, method, sparsity, data(method), input_shape=SHAPE, **rounds, **options).masks


@pytest.mark.parametrize("kind", SHARING)
@pytest.mark.parametrize("method", METHODS)
def test_a_module_under_several_names_is_pruned_exactly_and_the_model_is_unchanged(method, kind):
    model = sharing(kind)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    F.cross_entropy(model(batch()[0]), batch()[1]).backward()
    optimizer.step()
    before = whole_state(model)
    for sparsity in (0.3, 0.9):
        assert count(prune(model, method, sparsity)) == kept_count(total(model), sparsity)
    assert whole_state(model) == before
    assert all(type(p) is nn.Parameter for p in model.parameters())
    weights = {name: p.detach().clone() for name, p in pruning.prunable(model).items()}
    optimizer.zero_grad()
    F.cross_entropy(model(batch(1)[0]), batch(1)[1]).backward()
    optimizer.step()
    assert not any(torch.equal(model.get_parameter(name), weight) for name, weight in weights.items())  # all train


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("train_mode", [True, False])
@pytest.mark.parametrize("kind", SHARING)
def test_scores_are_those_of_a_network_that_has_its_weights_under_one_name(kind, train_mode, precision):
    # by hand: θ ⊙ the gradient of an ordinary backward pass
    model = sharing(kind).train(train_mode)
    problem = pruning.Problem(model, F.cross_entropy, torch.Generator(), None, precision)
    problem.batches = [batch()]
    found = problem.gradients()
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        logits = model(batch()[0])
    F.cross_entropy(logits.float(), batch()[1]).backward()
    for name, gradient in found.items():
        assert torch.allclose(gradient, model.get_parameter(name).grad, rtol=1e-5, atol=1e-7), name


class Aliases(nn.Module):
    """Layers of a pool, run in any order and held by any number of names, at any depth; some share their weights."""

    def __init__(self, order: list[int], names: list[tuple[str, int]], tied: bool):
        super().__init__()
        pool = [nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.ReLU()) for _ in range(3)]
        if tied:
            pool[2][0].weight = pool[0][0].weight
        self.groups = nn.ModuleDict()
        for place, (depth, layer) in enumerate(names):
            part = pool[layer][0] if depth == "deep" else pool[layer]
            self.groups[f"group{place}"] = nn.Sequential(nn.ModuleList([part, part]))
        self.body = nn.ModuleList(pool[layer] for layer in order)
        self.classifier = nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.body:
            x = layer(x)
        return self.classifier(x)


@pytest.mark.slow
@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(0, 2), min_size=1, max_size=5),
    st.lists(st.tuples(st.sampled_from(["deep", "whole"]), st.integers(0, 2)), max_size=4),
    st.booleans(),
    st.sampled_from(["force", "synflow", "grasp", "prospr", "ntk_sap"]),
    st.floats(0, 0.99),
)
def test_any_names_and_any_order_are_scored_like_an_ordinary_backward_pass(order, names, tied, method, sparsity):
    torch.manual_seed(0)
    model = Aliases(order, names, tied)
    before, weights = whole_state(model), pruning.prunable(model)
    data = [(torch.randn(8, 6), torch.randint(4, (8,)))]
    number = len({id(weight) for weight in weights.values()})
    assert number == len(weights)
    masks = pruning.prune(model, method, sparsity, data, on_remark=lambda _: None, **few_rounds(method)).masks
    assert count(masks) == kept_count(sum(weight.numel() for weight in weights.values()), sparsity)
    problem = pruning.Problem(model, F.cross_entropy, torch.Generator(), None)
    problem.batches = data
    found = problem.gradients()
    diagnose(model, masks, data)
    assert whole_state(model) == before
    F.cross_entropy(model(data[0][0]), data[0][1]).backward()
    for name, weight in weights.items():
        expected = torch.zeros_like(weight) if weight.grad is None else weight.grad
        assert torch.allclose(found[name], expected, rtol=1e-4, atol=1e-6), name


@pytest.mark.parametrize("kind", SHARING)
def test_diagnosing_a_module_under_several_names_leaves_the_model_unchanged(kind):
    model = sharing(kind)
    masks = prune(model, "snip")
    before = whole_state(model)
    found = diagnose(model, masks, [batch()])
    assert sum(layer.total for layer in found.layers.values()) == total(model)
    assert sum(layer.kept for layer in found.layers.values()) == kept_count(total(model), 0.7)
    assert whole_state(model) == before


def test_a_block_that_runs_three_times_costs_three_times():
    uses = positions(sharing("Repeated"), SHAPE)
    assert uses == {"stem.weight": 64, "blocks.0.0.weight": 3 * 64, "classifier.weight": 1}


@pytest.mark.parametrize("kind", SHARING)
def test_running_statistics_of_a_pass_are_written_into_the_given_buffers_once(kind):
    model, reference = sharing(kind), sharing(kind)
    reference(batch()[0])
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    call(model, buffers, batch()[0])
    assert buffers.keys() == dict(reference.named_buffers()).keys()
    assert all(torch.equal(buffer, buffers[name]) for name, buffer in reference.named_buffers())


@pytest.mark.parametrize("used", ["new", "used in training", "used in evaluation"])
@pytest.mark.parametrize("method", METHODS)
def test_a_network_that_keeps_tensors_on_itself_is_left_as_it_was(method, used):
    torch.manual_seed(0)
    model = Caching()
    if used != "new":
        model.train(used == "used in training")(batch()[0])
    before = whole_state(model)
    for train_mode in (True, False):
        if method == "phew":
            with pytest.raises(ValueError, match="phew cannot follow .*einsum"):
                prune(model, method)
        else:
            assert count(prune(model, method, train_mode=train_mode)) == kept_count(total(model), 0.7)
        assert whole_state(model) == before


@pytest.mark.parametrize("used", [False, True])
def test_diagnosing_leaves_no_tensor_on_the_network(used):
    torch.manual_seed(0)
    model = Caching()
    if used:
        model.eval()(batch()[0])
    masks = prune(model, "magnitude")
    before = whole_state(model)
    diagnose(model, masks, [batch()])
    effective(model, masks, SHAPE)
    positions(model, SHAPE)
    assert whole_state(model) == before


def test_each_pass_starts_from_what_the_network_keeps_not_from_what_the_last_pass_left():
    class Folding(nn.Module):
        """Computes its kernel once, in evaluation mode, and stores it."""

        def __init__(self):
            super().__init__()
            self.layer, self.kernel = nn.Linear(4, 4), None

        def forward(self, x):
            if self.training:
                return self.layer(x)
            self.kernel = self.layer.weight * 2 if self.kernel is None else self.kernel
            return F.linear(x, self.kernel, self.layer.bias)

    torch.manual_seed(0)
    model = Folding()
    data = [(torch.randn(8, 4), torch.randint(4, (8,)))]
    problem = pruning.Problem(model, F.cross_entropy, torch.Generator(), None)
    problem.batches = data
    model.eval()
    first = problem.gradients()["layer.weight"]
    problem.mask({"layer.weight": torch.eye(4, dtype=torch.bool)})
    second = problem.gradients()["layer.weight"]
    assert first.any() and second.any() and not torch.equal(first, second)
    assert model.kernel is None


def test_an_lstm_keeps_its_own_weights_after_scoring_in_float64():
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.cells, self.classifier = nn.LSTM(8, 16, batch_first=True), nn.Linear(16, 4)

        def forward(self, x):
            return self.classifier(self.cells(x)[0][:, -1])

    model = Reader()
    before = whole_state(model)
    data = [(torch.randn(4, 5, 8), torch.randint(4, (4,)))]
    for method in ("snip", "synflow", "prospr"):
        masks = pruning.prune(model, method, 0.5, data, **few_rounds(method)).masks
        assert whole_state(model) == before
    diagnose(model, masks, data)
    assert whole_state(model) == before


def test_attributes_come_back_after_an_error():
    model = Caching()
    before = whole_state(model)
    with pytest.raises(RuntimeError, match="[Cc]hannel"), unchanged(model):
        model(batch()[0]) + model(torch.zeros(2, 5, 8, 8))
    with pytest.raises(RuntimeError, match="[Cc]hannel"):
        call(model, {}, torch.zeros(2, 5, 8, 8))
    assert whole_state(model) == before


def test_containers_of_other_kinds_come_back_and_those_that_are_read_only_are_left_alone():
    class Fixed(dict):
        def __setitem__(self, *_):
            raise TypeError("read-only")

    model = convolutional()
    model.fixed, model.listed = Fixed(a=torch.ones(2)), immutable_list([torch.ones(2)])
    model.counts, model.recent = Counter("aab"), deque([torch.ones(1)], maxlen=2)
    model.ordered, model.of_lists = OrderedDict(b=1, a=torch.ones(1)), defaultdict(list, a=[torch.ones(1)])
    before = whole_state(model)
    with unchanged(model):
        model.counts["a"] += 1
        model.recent.extend([1, 2])
        model.ordered.move_to_end("b")
        model.ordered["a"].add_(1)
        model.of_lists["new"].append(1)
        model.of_lists["a"][0].add_(1)
    assert whole_state(model) == before
    assert (model.counts["a"], model.recent.maxlen, list(model.ordered)) == (2, 2, ["b", "a"])
    assert len(model.recent) == 1 and model.of_lists["other"] == []


def test_names_that_a_network_gives_itself_come_back_in_their_order():
    model = nn.Sequential(nn.Linear(2, 2))
    model.extra, model.table = {"b": 1, "a": [torch.ones(1), {"deep": torch.zeros(2)}]}, (torch.ones(2), [])
    before = whole_state(model)
    with unchanged(model):
        model.extra["c"], model.more = 3, torch.ones(1)
        model.extra["a"][0].add_(1)
        model.extra["a"][1]["deep"].add_(1)
        del model.extra["b"]
        model.table[1].append(2)
        model.register_forward_hook(lambda *_: None)
        model.add_module("new", nn.Linear(1, 1))
    assert whole_state(model) == before
