"""Layers that compute with a tensor derived from their weight are refused if removing a weight has no effect."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import pruning
from pruning.masks import count
from pruning.standardising import filled, fills_zeros

from .networks import SHARING, batch, convolutional, sharing, whole_state


class Standardised(nn.Conv2d):
    """Qiao et al. 2019."""

    def forward(self, x):
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return F.conv2d(x, weight / (weight.std((1, 2, 3), keepdim=True) + 1e-5), self.bias, self.stride, self.padding)


class ByBatchNorm(nn.Conv2d):
    """As timm does it, with a gain."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.gain = nn.Parameter(torch.ones(self.out_channels))

    def forward(self, x):
        flat = self.weight.reshape(1, self.out_channels, -1)
        weight = F.batch_norm(flat, None, None, weight=self.gain, training=True).reshape_as(self.weight)
        return self._conv_forward(x, weight, self.bias)


class Upwards(nn.ConvTranspose2d):
    def forward(self, x):
        return F.conv_transpose2d(x, self.weight - self.weight.mean(), self.bias, self.stride)


class Depthwise(Standardised):
    def forward(self, x):
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return F.conv2d(x, weight, self.bias, padding=self.padding, groups=self.groups)


class SoftmaxLinear(nn.Linear):
    def forward(self, x):
        return F.linear(x, self.weight.softmax(1), self.bias)


class Product(nn.Linear):
    def forward(self, x):
        return x @ (self.weight - self.weight.mean(1, keepdim=True)).t() + self.bias


class Scaled(nn.Conv2d):
    def forward(self, x):
        return self._conv_forward(x, self.weight * 0.5 / self.weight.norm(), self.bias)


class Masked(nn.Conv2d):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.register_buffer("mask", torch.ones_like(self.weight).tril())

    def forward(self, x):
        return self._conv_forward(x, self.weight * self.mask, self.bias)


class Signs(nn.Linear):
    def forward(self, x):
        return F.linear(F.normalize(x), self.weight.sign() * self.weight.abs().mean())


class Cosine(nn.Linear):
    def forward(self, x):
        return F.linear(F.normalize(x), F.normalize(self.weight))


class Skipping(nn.Conv2d):
    def forward(self, x):
        return x + super().forward(x)


class Unfolding(nn.Conv2d):
    def forward(self, x):
        columns = F.unfold(x, self.kernel_size, padding=self.padding)
        return (self.weight.flatten(1) @ columns).unflatten(2, x.shape[2:])


class Modulated(nn.Conv2d):
    def forward(self, x, style):
        return super().forward(x * style)


class Named(nn.Conv2d):
    """A name of one's own for torch's layer."""


FILLING = {
    "standardised": lambda: Standardised(3, 4, 3, padding=1),
    "by batch norm": lambda: ByBatchNorm(3, 4, 3, padding=1),
    "one channel": lambda: Standardised(1, 4, 3, padding=1),
    "transposed": lambda: Upwards(3, 4, 3),
    "depthwise": lambda: Depthwise(4, 4, 3, padding=1, groups=4),
    "softmax": lambda: SoftmaxLinear(6, 4),
    "a product": lambda: Product(6, 4),
    "in half precision": lambda: Standardised(3, 4, 3, padding=1).bfloat16(),
    "in evaluation": lambda: Standardised(3, 4, 3, padding=1).eval(),
    "dilated": lambda: Standardised(3, 4, 3, dilation=4),
}
KEEPING = {
    "torch's own": lambda: nn.Conv2d(3, 4, 3),
    "scaled": lambda: Scaled(3, 4, 3),
    "masked": lambda: Masked(3, 4, 3),
    "signs": lambda: Signs(6, 4),
    "cosine": lambda: Cosine(6, 4),
    "with a skip": lambda: Skipping(3, 3, 3, padding=1),
    "unfolding": lambda: Unfolding(3, 1, 3, padding=1),
    "of two arguments": lambda: Modulated(3, 4, 3),
    "renamed": lambda: Named(3, 4, 3),
}


@pytest.mark.parametrize("make", FILLING.values(), ids=FILLING)
def test_a_layer_whose_kernel_has_no_zeros_where_its_weight_has_is_refused(make):
    model = nn.Sequential(nn.Identity(), make())
    before = whole_state(model)
    kind = type(model[1]).__name__
    with pytest.raises(
        ValueError, match=rf"^1 \({kind}\) computes with something made of its weight .* remove nothing"
    ):
        pruning.prunable(model)
    assert whole_state(model) == before


@pytest.mark.parametrize("make", KEEPING.values(), ids=KEEPING)
def test_a_layer_that_keeps_zeros_zero_is_pruned(make):
    model = nn.Sequential(make())
    before = whole_state(model)
    masks = pruning.prune(model, "magnitude", 0.5).masks
    assert count(masks) == model[0].weight.numel() - round(0.5 * model[0].weight.numel())
    assert whole_state(model) == before


def test_a_standardising_layer_is_detected_on_the_meta_device():
    with torch.device("meta"):
        model, plain = Standardised(3, 4, 3), Named(3, 4, 3)
        with pytest.raises(ValueError, match="removing weights would remove nothing"):
            pruning.prunable(model)
        assert pruning.prunable(plain)


def test_probing_calls_no_hook_and_draws_nothing():
    seen, layer = [], Named(3, 4, 3)
    layer.register_forward_hook(lambda *_: seen.append(1))
    state = torch.get_rng_state()
    assert not fills_zeros(layer) and not seen
    assert torch.equal(torch.get_rng_state(), state)


def test_by_the_kernel_that_convolves_masks_of_a_standardised_layer_would_remove_nothing():
    # what the refusal is for
    torch.manual_seed(0)
    layer = Standardised(3, 4, 3, padding=1)
    mask = torch.rand(layer.weight.shape) < 0.1
    with torch.no_grad():
        layer.weight.mul_(mask)
    images = batch()[0].requires_grad_()
    layer(images).square().sum().backward()
    assert images.grad.ne(0).all()


def test_a_standardising_layer_that_is_swapped_for_a_plain_one_is_pruned():
    model = nn.Sequential(Standardised(3, 4, 3))
    with pytest.raises(ValueError, match="would remove nothing"):
        pruning.prunable(model)
    model[0] = nn.Conv2d(3, 4, 3)
    assert pruning.prunable(model)


class Around(nn.Module):
    """Computes its kernel from a plain layer's weight."""

    def __init__(self, change):
        super().__init__()
        self.change, self.layer = change, nn.Conv2d(3, 4, 3, padding=1)
        self.other, self.unused = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(3, 4, 3)

    def forward(self, x):
        x = torch.relu(F.conv2d(x, self.change(self.layer.weight), self.layer.bias, padding=1))
        return self.other(x).mean((2, 3))


CHANGES = {
    "centred": (lambda weight: weight - weight.mean(), ["layer.weight", "unused.weight"]),
    "scaled": (lambda weight: weight / weight.norm(), []),
    "itself": (lambda weight: weight, []),
    "a view": (lambda weight: weight.transpose(2, 3), []),
    "signs": (lambda weight: weight.sign(), []),
}


@pytest.mark.parametrize(("change", "names"), CHANGES.values(), ids=CHANGES)
def test_a_network_that_standardises_around_its_layers_is_found(change, names):
    torch.manual_seed(0)
    model = Around(change)
    before = whole_state(model)
    assert set(filled(model, pruning.prunable(model), (3, 8, 8))) <= set(names)
    assert ("layer.weight" in filled(model, pruning.prunable(model), (3, 8, 8))) == bool(names)
    assert whole_state(model) == before


@pytest.mark.parametrize("kind", [*SHARING, "convolutional", "attention"])
def test_networks_that_use_their_weights_directly_are_not_refused(kind):
    torch.manual_seed(0)
    if kind == "attention":
        layer = nn.TransformerEncoderLayer(8, 2, 8, batch_first=True, dropout=0.0)
        model = nn.Sequential(nn.Flatten(1, 2), layer, nn.Flatten(), nn.Linear(192, 4))
    else:
        model = convolutional() if kind == "convolutional" else sharing(kind)
    assert filled(model, pruning.prunable(model), (3, 8, 8)) == []
