"""PHEW: walks by hand, their frequencies against exact probabilities, and kept weights that lie on paths."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import pruning
from pruning.masks import count
from pruning.methods.phew import _Network, _Walks, phew
from pruning.paths import effective
from pruning.problem import Problem
from training import models

from .networks import batch, convolutional, linear


def problem(model, shape, seed=0, kept=1) -> Problem:
    made = Problem(model, F.cross_entropy, torch.Generator().manual_seed(seed), shape)
    made.kept = kept
    return made


def test_walks_start_at_every_input_and_every_output_in_turn_by_hand():
    # One input, three outputs: forward, |θ| decides, and all but 1 in 10⁹ walks take the first weight. Back, each
    # output has one way. Walks 0, 2, 4 go forward; 1, 3, 5 back, from outputs 0, 1, 2: first taken in walks 0, 3, 5.
    scores = phew(problem(linear([1.0], [1e-9], [1e-9]), (1,)))
    assert scores["0.weight"].tolist() == [[0.0], [-3.0], [-5.0]]


def test_two_layers_by_hand():
    # Each input has one way in: 0 → 0 → 0, 1 → 1 → 0. Walk 0 takes W1[0, 0] at time 0 and W2[0, 0] at time 1; walk 2,
    # from the other input, W1[1, 1] at 4 unless walk 1, back from the output by one of two even ways, took it at 3.
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False))
    model[0].weight.data, model[2].weight.data = torch.tensor([[1.0, 0.0], [0.0, -1.0]]), torch.tensor([[-2.0, 2.0]])
    seen = set()
    for seed in range(20):
        first, second = phew(problem(model, (2,), seed, kept=4)).values()
        assert (first[0, 0], second[0, 0]) == (0.0, -1.0)
        assert first[0, 1] < -1000 and first[1, 0] < -1000  # zeros: never taken
        seen.add((first[1, 1].item(), second[0, 1].item()))
    assert seen == {(-4.0, -5.0), (-3.0, -2.0)}


def test_a_unit_whose_weights_are_all_zero_chooses_uniformly():
    taken = _frequencies(problem(linear([0.0], [0.0]), (1,)), forward=True, walks=20_000)
    assert taken["0.weight"] == pytest.approx([0.5, 0.5], abs=0.02)


class Residual(nn.Module):
    """A convolution, a shortcut without weights, one with weights, and a flattening of 2×2 features a channel."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3, padding=1, bias=False)
        self.norm, self.relu, self.pool = nn.BatchNorm2d(3), nn.ReLU(), nn.AdaptiveAvgPool2d(2)
        self.branch = nn.Conv2d(3, 3, 1, bias=False)
        self.wide, self.short = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 1)
        self.classifier = nn.Linear(16, 2)

    def forward(self, x):
        x = self.relu(self.norm(self.conv(x)))
        x = self.relu(x + self.norm(self.branch(x)))
        x = F.relu(self.wide(x) + self.short(x))
        return self.classifier(torch.flatten(self.pool(x), 1))


def residual(seed: int = 0) -> Residual:
    torch.manual_seed(seed)
    return Residual()


def _frequencies(made: Problem, forward: bool, walks: int) -> dict[str, np.ndarray]:
    """Share of the walks that take each weight."""
    network = _Network(made)
    taken = {name: np.zeros(kernels.size) for name, kernels in network.kernels.items()}

    class Counting(_Walks):
        def _record(self, name, weights, times):
            taken[name] += np.bincount(weights, minlength=taken[name].size)

    Counting(network, made.generator, False)._walk(np.arange(walks), forward)
    return {name: counts / walks for name, counts in taken.items()}


def _exact(model: Residual, forward: bool) -> dict[str, np.ndarray]:
    """Probability that a walk takes each weight: sums over all paths, by loops over units."""
    size = {name: weight.detach().abs().double().numpy() for name, weight in pruning.prunable(model).items()}
    size["classifier.weight"] = size["classifier.weight"].reshape(2, 4, 4)  # a channel's features are a kernel
    size["none"] = np.eye(3)  # the shortcut without weights
    ways = [["conv"], ["branch", "none"], ["wide", "short"], ["classifier"]]
    found = {name: np.zeros_like(sizes) for name, sizes in size.items()}
    start = 2
    there = np.full(start, 1 / start)
    for layer in ways if forward else ways[::-1]:
        names = [name if name == "none" else f"{name}.weight" for name in layer]
        nexts = np.zeros(size[names[0]].shape[0 if forward else 1])
        for unit, chance in enumerate(there):
            pick = (slice(None), unit) if forward else (unit, slice(None))
            total = sum(size[name][pick].sum() for name in names)
            for name in names:
                share = chance * size[name][pick] / total
                found[name][pick] += share
                nexts += share.reshape(len(nexts), -1).sum(1)
        there = nexts
    del found["none"]
    return {name: shares.ravel() for name, shares in found.items()}


@pytest.mark.parametrize("forward", [True, False])
def test_walks_take_weights_as_often_as_their_exact_probabilities_say(forward):
    model, walks = residual(), 40_000
    taken, exact = _frequencies(problem(model, (2, 4, 4)), forward, walks), _exact(model, forward)
    for name, expected in exact.items():
        deviation = np.sqrt(expected * (1 - expected) / walks) + 1 / walks
        assert (abs(taken[name] - expected) < 5 * deviation).all(), name


def _finished(made: Problem, walks: int) -> pruning.Masks:
    """The weights that the first ``walks`` walks took."""
    length = len(_Network(made).links)
    return {name: -score < walks * length for name, score in phew(made).items()}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 8), min_size=2, max_size=6), st.integers(1, 30), st.integers(0, 10**6))
def test_every_weight_of_finished_walks_lies_on_a_path(widths, walks, seed):
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    total = sum(weight.numel() for weight in pruning.prunable(model).values())
    masks = _finished(problem(model, widths[:1], seed, kept=total - 1), walks)
    alive = effective(model, masks, widths[:1])
    assert all(torch.equal(alive[name], mask) for name, mask in masks.items())


class Dense(nn.Module):
    """Concatenations of tensors that are used again, a grouped convolution, and a sum at the input."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(4, 6, 3, padding=1), nn.Conv2d(10, 4, 1)
        self.grouped, self.last = nn.Conv2d(14, 14, 3, padding=1, groups=7), nn.Linear(14, 3)

    def forward(self, x):
        x = x * torch.tensor(2.0)
        both = torch.cat([x, self.first(x).relu()], 1)
        x = torch.cat((both, x + self.second(both)), dim=1)
        return self.last(self.grouped(x).mean((2, 3)))


def dense() -> Dense:
    torch.manual_seed(0)
    return Dense()


NETWORKS = {
    "sequential": (convolutional, (3, 8, 8)),
    "residual": (residual, (2, 4, 4)),
    "concatenated": (dense, (4, 6, 6)),
    "vgg_digits": (lambda: models.build("vgg_digits", classes=10, channels=1, size=8, width=8), (1, 8, 8)),
    "resnet20": (lambda: models.build("resnet20", classes=10, width=0.5), (3, 8, 8)),
    "resnet50": (lambda: models.build("resnet50", classes=10, width=0.0625), (3, 8, 8)),
}


def _whole(masks: pruning.Masks) -> pruning.Masks:
    """Every kernel of which a weight is kept: paths from unit to unit, even where they leave a small image."""
    return {
        name: mask.flatten(2).any(2)[..., None].expand(*mask.shape[:2], mask[0, 0].numel()).reshape(mask.shape)
        if mask.ndim > 2
        else mask
        for name, mask in masks.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("sparsity", [0.6, 0.9, 0.98])
def test_kept_weights_lie_on_paths_but_for_those_of_the_last_walk(name, sparsity):
    build, shape = NETWORKS[name]
    model = build()
    made = problem(model, shape)
    masks = pruning.prune(model, "phew", sparsity, generator=torch.Generator().manual_seed(0), input_shape=shape).masks
    made.kept = count(masks)
    length, scores = len(_Network(made).links), phew(made)
    last = max(-float(score[masks[n]].min()) for n, score in scores.items() if masks[n].any()) // length
    alive = _whole(effective(model, _whole(masks), shape))
    dead = {n: mask & ~alive[n] for n, mask in masks.items()}
    assert all((-scores[n][mask] // length == last).all() for n, mask in dead.items())
    finished = _whole(_finished(made, int(last)))
    alive = _whole(effective(model, finished, shape))
    assert all(torch.equal(alive[n], mask) for n, mask in finished.items())


def test_random_masks_keep_weights_that_lie_on_no_path():
    model, shape = models.build("resnet20", classes=10, width=0.5), (3, 32, 32)
    for method, least, most in (("phew", 0.98, 1.0), ("random", 0.0, 0.6)):
        masks = pruning.prune(model, method, 0.99, input_shape=shape).masks
        assert least <= count(effective(model, masks, shape)) / count(masks) <= most


@pytest.mark.parametrize(("name", "layers", "shortcuts"), [("resnet20", 22, 7), ("resnet50", 54, 12)])
def test_a_residual_network_is_its_layers_and_its_shortcuts_without_weights(name, layers, shortcuts):
    build, shape = NETWORKS[name]
    links = _Network(problem(build(), shape)).links
    assert (sum(bool(link.name) for link in links), sum(not link.name for link in links)) == (layers, shortcuts)


def test_a_bottlenecks_layers_follow_one_another_and_its_shortcut_goes_past_them():
    build, shape = NETWORKS["resnet50"]
    ends = {link.name: (link.source, link.target) for link in _Network(problem(build(), shape)).links}
    one, two, three = (ends[f"layer2.0.conv{number}.weight"] for number in (1, 2, 3))
    assert one[1] == two[0] and two[1] == three[0]
    assert ends["layer2.0.downsample.0.weight"] == (one[0], three[1])


def test_a_shortcut_is_taken_where_its_branch_is_weak():
    model = residual()
    model.branch.weight.data *= 1e-9
    taken = _frequencies(problem(model, (2, 4, 4)), forward=True, walks=5_000)
    assert taken["branch.weight"].sum() == 0 and taken["wide.weight"].sum() > 0


def test_no_two_weights_have_the_same_time():
    times = torch.cat([-score.flatten() for score in phew(problem(residual(), (2, 4, 4))).values()])
    assert times.unique().numel() == times.numel()


def test_full_kernels_are_kept_except_the_last():
    model = convolutional()
    masks = pruning.prune(model, "phew", 0.9, input_shape=(3, 8, 8), whole_kernels=True).masks
    kernels = torch.cat([mask.flatten(2).sum(2).flatten() for mask in masks.values() if mask.ndim == 4])
    assert int(((kernels > 0) & (kernels < 9)).sum()) <= 1 and int((kernels == 9).sum()) > 5


def test_weights_that_no_walk_takes_are_kept_last_in_random_order():
    # Forward, every input leads to the second output; back, the first output leads to the first input and the second
    # anywhere. So walks find 51 of 100 weights, and 39 of the other 49 are drawn.
    model = linear([1.0] + [0.0] * 49, [1.0] * 50)
    rest = set()
    for seed in range(3):
        pruned = pruning.prune(model, "phew", 0.1, generator=torch.Generator().manual_seed(seed), input_shape=(50,))
        first, second = pruned.masks["0.weight"]
        assert second.all() and first[0] and int(first.sum()) == 40
        rest.add(tuple(first.tolist()))
    assert len(rest) == 3


def test_the_mask_depends_on_the_generator_and_on_nothing_else():
    def mask(seed: int, weights: int = 0) -> torch.Tensor:
        data = [(torch.randn(2, 2, 4, 4), torch.tensor([0, 1]))]
        found = pruning.prune(residual(weights), "phew", 0.7, data, generator=torch.Generator().manual_seed(seed))
        return torch.cat([kept.flatten() for kept in found.masks.values()])

    assert torch.equal(mask(1), mask(1))
    assert not torch.equal(mask(1), mask(2))
    assert not torch.equal(mask(1), mask(1, weights=1))


def test_tracing_leaves_nothing_on_the_model():
    model = dense()  # its forward pass makes a constant, which torch.fx hangs on what it traces
    before = set(vars(model))
    pruning.prune(model, "phew", 0.5, input_shape=(4, 6, 6))
    assert set(vars(model)) == before


def test_it_costs_one_forward_pass_of_one_input():
    pruned = pruning.prune(convolutional(), "phew", 0.9, [batch()])
    assert (pruned.passes, pruned.work) == (1, 1)


class Forward(nn.Module):
    """A layer, then a function that the test gives."""

    def __init__(self, then):
        super().__init__()
        self.layer, self.last, self.then = nn.Conv2d(3, 4, 1), nn.Linear(4, 2), then

    def forward(self, x):
        return self.last(self.then(self.layer(x)))


@pytest.mark.parametrize(
    ("then", "what"),
    [
        (lambda x: (x.flatten(2) @ x.flatten(2).transpose(1, 2)).mean(2), "matmul|transpose"),
        (lambda x: torch.cat(x.chunk(2, 1), 1).mean((2, 3)), "chunk"),
        (lambda x: (x * x.mean((2, 3), keepdim=True).sigmoid().roll(1, 1)).mean((2, 3)), "roll"),
        (lambda x: x.permute(0, 2, 3, 1).mean((1, 2)), "permute"),
        (lambda x: x.mean(1).flatten(1), "mean"),
    ],
)
def test_an_operation_that_mixes_channels_is_named(then, what):
    with pytest.raises(ValueError, match=f"phew cannot follow .*({what})"):
        pruning.prune(Forward(then), "phew", 0.5, input_shape=(3, 2, 2))


def test_a_layer_that_is_no_graph_of_channels_is_named():
    model = nn.Sequential(nn.ConvTranspose2d(3, 4, 2), nn.Flatten(), nn.Linear(36, 2))
    with pytest.raises(ValueError, match="phew cannot follow 0 of this network"):
        pruning.prune(model, "phew", 0.5, input_shape=(3, 2, 2))


def test_a_linear_layer_on_anything_but_features_is_named():
    model = nn.Sequential(nn.Conv1d(3, 4, 1), nn.ReLU(), nn.Linear(5, 2), nn.Flatten(), nn.Linear(8, 2))
    with pytest.raises(ValueError, match="phew cannot follow 2 of this network"):
        pruning.prune(model, "phew", 0.5, input_shape=(3, 5))


def test_no_walk_enters_a_branch_without_output():
    class Aside(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.aside, self.last = nn.Linear(3, 4), nn.Linear(4, 5), nn.Linear(4, 2)

        def forward(self, x):
            x = self.layer(x)
            self.aside(x).relu()
            return self.last(x)

    scores = phew(problem(Aside(), (3,)))
    assert (scores["aside.weight"] < min(scores["layer.weight"].min(), scores["last.weight"].min())).all()


def test_every_output_is_walked_back_from():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.one, self.two = nn.Linear(3, 4), nn.Linear(4, 2), nn.Linear(4, 2)
            self.two.weight.data *= 1e-9  # no walk has a reason to go there

        def forward(self, x):
            x = self.layer(x)
            return self.one(x), self.two(x)

    class Nested(Two):
        def forward(self, x):
            one, two = super().forward(x)
            return one, one + two

    # two walks from each of the four outputs; the second pair of outputs has another way back in Nested
    for build, shares in ((Two, (0.5, 0.5)), (Nested, (1.0, 0.0))):
        taken = _frequencies(problem(build(), (3,)), forward=False, walks=8)
        assert (taken["one.weight"].sum(), taken["two.weight"].sum()) == shares


def test_a_network_without_a_path_is_refused():
    with pytest.raises(ValueError, match="no path from the input"):
        pruning.prune(Forward(lambda x: torch.ones(1, 4)), "phew", 0.5, input_shape=(3, 2, 2))


def test_a_network_that_decides_by_its_data_cannot_be_traced():
    with pytest.raises(ValueError, match=r"torch\.fx cannot trace this network"):
        pruning.prune(Forward(lambda x: x.mean((2, 3)) if x.sum() > 0 else -x), "phew", 0.5, input_shape=(3, 2, 2))
