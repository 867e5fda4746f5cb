"""SynFlow: by hand, its conservation law, why it takes rounds, and why it takes float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import pruning
from training import models

from .networks import convolutional, perceptron, problem, residual, score


def test_synflow_by_hand_on_two_layers():
    # |W1| = [[1, 2], [0, 3]], |W2| = [[4, 5]]; R = 4·(1+2) + 5·(0+3) = 27
    # share of W1[i, j] = |w|·|w2_i|: (4, 8; 0, 15); of W2[i] = |w2_i|·(sum of row i): (12, 15)
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False))
    model[0].weight.data, model[2].weight.data = torch.tensor([[1.0, -2.0], [0.0, 3.0]]), torch.tensor([[-4.0, 5.0]])
    scores = score("synflow", problem(model, shape=(2,)))
    assert scores["0.weight"].tolist() == [[4.0, 8.0], [0.0, 15.0]]
    assert scores["2.weight"].tolist() == [[12.0, 15.0]]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(2, 9), min_size=3, max_size=6), st.floats(0.3, 1), st.integers(0, 10**6))
def test_scores_of_every_layer_without_bias_sum_to_the_flow_pruned_or_not(widths, density, seed):
    model = perceptron(*widths, seed=seed, bias=False)
    made = problem(model, shape=(widths[0],))
    made.mask({name: torch.rand(w.shape) < density for name, w in made.dense.items()})
    sums = [float(s.sum()) for s in score("synflow", made).values()]
    flow = torch.ones(widths[0], dtype=torch.float64)
    for weight in made.parameters.values():
        flow = weight.detach().abs().double() @ flow
    assert sums == pytest.approx([float(flow.sum())] * len(sums), rel=1e-12, abs=0)


@settings(max_examples=10, deadline=None)
@given(st.integers(2, 6), st.integers(0, 10**6))
def test_scores_of_every_convolution_sum_to_the_flow_with_pooling_and_padding(width, seed):
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1, bias=False),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(width, 2 * width, 3, stride=2, padding=1, bias=False),
        nn.ReLU(),
        nn.Conv2d(2 * width, width, 2, bias=False),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, 4, bias=False),
    )
    sums = [float(s.sum()) for s in score("synflow", problem(model, shape=(3, 8, 8))).values()]
    state = {name: tensor.abs().double() for name, tensor in model.state_dict().items()}
    ones = torch.ones(1, 3, 8, 8, dtype=torch.float64)
    flow = float(torch.func.functional_call(model, state, (ones,)).sum())
    assert sums == pytest.approx([flow] * 4, rel=1e-12, abs=0)


@pytest.mark.slow
def test_one_shot_synflow_empties_layers_of_a_resnet_at_a_sparsity_that_a_hundred_rounds_survive():
    torch.manual_seed(0)
    model = models.build("resnet18", classes=10, size=32, width=0.125)
    shape, sparsity = (3, 16, 16), 0.99
    assert pruning.find("synflow").options["rounds"] == 100
    one_shot = pruning.prune(model, "synflow", sparsity, input_shape=shape, rounds=1).masks
    iterated = pruning.prune(model, "synflow", sparsity, input_shape=shape).masks
    empty = {name for name, mask in one_shot.items() if not mask.any()}
    assert {name for name in one_shot if "downsample" in name} < empty  # the 1×1 shortcuts, and more
    assert all(mask.any() for mask in iterated.values())


def test_scores_stay_above_zero_in_a_network_too_deep_for_float32():
    # 60 layers of 4 × 4 weights of 0.01: R = 4 · 0.04⁶⁰ = 5e-84, and float32 ends at 1e-45
    model = nn.Sequential(*[layer for _ in range(60) for layer in (nn.Linear(4, 4, bias=False), nn.ReLU())])
    for parameter in model.parameters():
        parameter.data.fill_(1e-2)
    scores = score("synflow", problem(model, shape=(4,)))
    assert all(s.sum().item() == pytest.approx(4 * 0.04**60, rel=1e-5, abs=0) for s in scores.values())


def test_a_network_too_wide_for_float32_is_pruned_without_infinite_scores():
    # 30 layers of 16 × 16 weights of 10: R = 16 · 160³⁰ = 2e67, and float32 ends at 3e38
    model = nn.Sequential(*[nn.Linear(16, 16, bias=False) for _ in range(30)])
    for parameter in model.parameters():
        parameter.data.fill_(10.0)
    model[7].weight.data[3, 5] = 11.0  # the one weight whose score is higher than that of all others of its layer
    scores = score("synflow", problem(model, shape=(16,)))
    assert all(s.isfinite().all() for s in scores.values())
    assert int(scores["7.weight"].argmax()) == 3 * 16 + 5


def test_batchnorm_counts_by_its_running_statistics_and_absolute_values():
    model = convolutional()
    for layer in (model[1], model[5]):
        layer.weight.data.uniform_(-2, -1)
        layer.bias.data.zero_()
    negative = score("synflow", problem(model, shape=(3, 8, 8)))
    for layer in (model[1], model[5]):
        layer.weight.data.abs_()
    positive = score("synflow", problem(model, shape=(3, 8, 8)))
    assert all(torch.equal(negative[name], positive[name]) for name in positive)
    model[1].running_var.fill_(4.0)  # halves what the first layer passes on, and with it every score
    halved = score("synflow", problem(model, shape=(3, 8, 8)))
    ratio = halved["0.weight"].sum() / positive["0.weight"].sum()
    assert float(ratio) == pytest.approx(0.5, rel=1e-4)


def convolutions(*, norm=nn.BatchNorm2d, activation=nn.ReLU, end: tuple[nn.Module, ...] = ()) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        norm(8),
        activation(),
        nn.Conv2d(8, 16, 3, padding=1),
        norm(16),
        activation(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 4),
        *end,
    )


class Gated(nn.Module):
    """x · gate(Wx̄), as in squeeze and excitation."""

    def __init__(self):
        super().__init__()
        self.body, self.gate, self.classifier = nn.Conv2d(3, 8, 3), nn.Linear(8, 8), nn.Linear(8, 4)
        nn.init.constant_(self.gate.bias, 5.0)

    def forward(self, images):
        x = self.body(images).relu()
        gate = nn.functional.hardsigmoid(self.gate(x.mean((2, 3))))
        return self.classifier((x * gate[:, :, None, None]).mean((2, 3)))


def narrow(name: str) -> dict[str, float]:
    """An eighth of the width that an architecture has by default, where it has that option."""
    width = models.defaults(name).get("width")
    return {} if width is None else {"width": type(width)(width / 8)}


CONSERVING = {
    "BatchNorm": convolutions,
    "no normalisation": lambda: convolutions(norm=lambda width: nn.Identity()),
    "GELU": lambda: convolutions(activation=nn.GELU),
    "residual": residual,
    **{name: lambda name=name: models.build(name, classes=10, size=32, **narrow(name)) for name in models.names()},
}
BREAKING = {
    "InstanceNorm": lambda: convolutions(norm=nn.InstanceNorm2d),
    "BatchNorm without statistics": lambda: convolutions(norm=lambda n: nn.BatchNorm2d(n, track_running_stats=False)),
    "GroupNorm": lambda: convolutions(norm=lambda width: nn.GroupNorm(4, width)),
    "LayerNorm": lambda: nn.Sequential(nn.Flatten(), nn.Linear(3072, 16), nn.LayerNorm(16), nn.Linear(16, 4)),
    "LogSoftmax": lambda: convolutions(end=(nn.LogSoftmax(1),)),
    "Softmax": lambda: convolutions(end=(nn.Softmax(1),)),
    "saturated gates": Gated,
    "saturated activations": lambda: convolutions(norm=lambda width: nn.Identity(), activation=Saturating),
}


class Saturating(nn.Module):
    """tanh of values far beyond 1."""

    def forward(self, values):
        return torch.tanh(30 * values)


@pytest.mark.slow
@pytest.mark.parametrize("kind", CONSERVING)
def test_no_shipped_network_counts_as_unconserved(kind):
    made = problem(CONSERVING[kind](), shape=(3, 32, 32))
    score("synflow", made)
    assert made.unconserved == ()


@pytest.mark.parametrize("kind", BREAKING)
def test_a_network_whose_scores_are_rounding_errors_raises_a_warning_and_names_its_layers(kind):
    with pytest.warns(pruning.PruningWarning, match=r"method synflow: in \d+ layers SynFlow's scores cancel or vanish"):
        pruned = pruning.prune(BREAKING[kind](), "synflow", 0.5, input_shape=(3, 32, 32), rounds=2)
    assert pruned.unconserved


def test_a_branch_that_pruning_has_emptied_does_not_count_as_unconserved():
    one_shot = pruning.prune(residual(), "synflow", 0.99, input_shape=(3, 8, 8), rounds=3)
    assert any(not mask.any() for mask in one_shot.masks.values())
    assert one_shot.unconserved == ()


def test_other_methods_do_not_measure_conservation():
    assert pruning.prune(convolutional(), "magnitude", 0.9).unconserved is None
