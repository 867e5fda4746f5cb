"""Which kept weights lie on a path from input to output: compared with derivatives of the network."""

import copy
import functools

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import _get_current_dispatch_mode

import pruning
from pruning.diagnostics import diagnose
from pruning.macs import positions
from pruning.masks import count, full
from pruning.paths import effective

SHAPE = (4, 6, 6)


def by_derivatives(model: nn.Module, masks: pruning.Masks, shape: tuple[int, ...]) -> pruning.Masks:
    """The kept weights between an input of their layer that depends on the network's, and an output that it depends on.

    Found by derivatives of the network at several points, with unmasked parameters drawn anew for each, so that none
    is zero or negative by accident. Smooth networks of convolutions and linear layers only.
    """
    read: dict[str, Tensor] = {}
    reached: dict[str, Tensor] = {}
    for seed in range(4):
        torch.manual_seed(seed)
        drawn = copy.deepcopy(model).double().eval()
        for name, parameter in drawn.named_parameters():
            parameter.data.copy_(torch.randn(parameter.shape))
            if name in masks:
                parameter.data *= masks[name]
        seen: dict[str, tuple[Tensor, Tensor]] = {}
        for name in masks:
            layer = drawn.get_submodule(name.removesuffix(".weight"))
            layer.register_forward_hook(functools.partial(note, seen, name))
        image = torch.randn(1, *shape, dtype=torch.float64, requires_grad=True)
        output = drawn(image)
        for name, (inputs, outputs) in seen.items():
            read[name] = read.get(name, 0) + _depends(inputs, image)
            gradient = torch.autograd.grad(output, outputs, torch.randn_like(output), retain_graph=True)[0]
            reached[name] = reached.get(name, 0) + (gradient.abs() > 1e-12)
    found = {}
    for name, mask in masks.items():
        layer = copy.deepcopy(model.get_submodule(name.removesuffix(".weight"))).double()
        layer.bias = None
        total = (layer((read[name] > 0).double()) * (reached[name] > 0)).sum()
        found[name] = mask & (torch.autograd.grad(total, layer.weight)[0] > 0.5)
    return found


def note(seen: dict[str, tuple[Tensor, Tensor]], name: str, _: nn.Module, inputs, output) -> None:
    """A hook: what a layer reads and returns."""
    seen[name] = inputs[0], output


def _depends(tensor: Tensor, image: Tensor) -> Tensor:
    """Of each element, whether its derivative by any element of the image is other than zero."""
    if tensor is image:
        return torch.ones_like(tensor, dtype=torch.bool)
    rows = [torch.autograd.grad(each, image, retain_graph=True)[0].abs().max() for each in tensor.flatten()]
    return (torch.stack(rows) > 1e-12).view_as(tensor)


class Through(nn.Module):
    """A convolution, a function of its image, a second convolution, a classifier: few weights, some cut off."""

    def __init__(self, middle, channels: int = 4, side: int = 4):
        super().__init__()
        self.first = nn.Conv2d(4, 4, 3, bias=True)
        self.middle = middle
        self.second = nn.Conv2d(channels, 2, 1)
        self.classifier = nn.Linear(2 * side * side, 2)

    def forward(self, x):
        return self.classifier(self.second(self.middle(self.first(x))).flatten(1))


class Function(nn.Module):
    """A function as a module, with a parameter that may be negative or zero, and a buffer."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.scale = nn.Parameter(torch.tensor([-1.0, 0.0, 2.0, 0.0]).view(4, 1, 1))
        self.places = nn.Parameter(torch.zeros(16, 4))
        self.register_buffer("mask", torch.tensor([1.0, 0.0, -1.0, 1.0]).view(4, 1, 1))

    def forward(self, x):
        return self.function(x, self)


def tokens(x: Tensor) -> Tensor:
    """[B, C, H, W] to [B, H·W, C]."""
    return x.flatten(2).transpose(1, 2)


def image(x: Tensor) -> Tensor:
    """And back."""
    return x.transpose(1, 2).unflatten(2, (4, 4))


MIDDLES = {
    "gelu": nn.GELU(),
    "negative and zero scales": Function(lambda x, m: x * m.scale),
    "zero branch": Function(lambda x, m: x + m.scale[1] * torch.tanh(x)),
    "constant mask": Function(lambda x, m: x * m.mask),
    "softmax over channels": nn.Softmax(1),
    "log softmax over positions": Function(lambda x, m: x.flatten(2).log_softmax(2).view_as(x)),
    "group norm": nn.GroupNorm(2, 4),
    "instance norm": nn.InstanceNorm2d(4),
    "batch norm": nn.BatchNorm2d(4),
    "layer norm over channels": Function(lambda x, m: image(F.layer_norm(tokens(x), (4,)))),
    "layer norm over everything": nn.LayerNorm([4, 4, 4]),
    "rms norm over channels": Function(lambda x, m: image(F.rms_norm(tokens(x), (4,)))),
    "local response norm": nn.LocalResponseNorm(2),
    "l2 norm": Function(lambda x, m: F.normalize(x, dim=1)),
    "standardised by hand": Function(
        lambda x, m: (x - x.mean((2, 3), keepdim=True)) / (x.std((2, 3), keepdim=True) + 1)
    ),
    "difference of channels": Function(lambda x, m: x - x.roll(1, 1)),
    "gate": Function(lambda x, m: x * torch.sigmoid(m.scale * x.mean((2, 3), keepdim=True))),
    "gated halves": Function(lambda x, m: torch.cat([F.glu(x, 1), x[:, :2]], 1)),
    "in place": Function(lambda x, m: x.mul_(m.scale).add_(1).sigmoid_()),
    "written into a part": Function(lambda x, m: torch.cat([x[:, :2].mul_(2), x[:, 2:]], 1)),
    "shuffled": nn.ChannelShuffle(2),
    "padded and cropped": Function(lambda x, m: F.pad(x, (2, 0, 1, 0))[..., :4, :4]),
    "reflected": Function(lambda x, m: F.pad(x, (2, 0, 1, 0), mode="reflect")[..., :4, :4]),
    "upsampled": Function(lambda x, m: F.interpolate(x[..., :2, :2], scale_factor=2, mode="bilinear")),
    "nearest": Function(lambda x, m: F.interpolate(x[..., :2, :2], size=(4, 4))),
    "strided average": Function(lambda x, m: F.avg_pool2d(x, 3, 2, 1).repeat(1, 1, 2, 2)),
    "adaptive average": Function(lambda x, m: F.adaptive_avg_pool2d(x, 3).repeat(1, 1, 2, 2)[..., :4, :4]),
    "unfolded": Function(lambda x, m: F.unfold(x, 2, stride=2).reshape(1, 4, 4, 4)),
    "where": Function(lambda x, m: torch.where(m.mask > 0, x, 0.5)),
    "filled": Function(lambda x, m: x.masked_fill(m.mask < 0.5, 2.0)),
    "attention": Function(
        lambda x, m: image(F.scaled_dot_product_attention(tokens(x), tokens(x).roll(1, 2), tokens(x) + m.places))
    ),
    "fixed matrix": Function(lambda x, m: image(tokens(x) @ torch.diag(m.mask.flatten()))),
    "depthwise": nn.Conv2d(4, 4, 3, padding=1, groups=4),
    "dilated": nn.Conv2d(4, 4, 3, padding=2, dilation=2),
    "transposed": nn.ConvTranspose2d(4, 4, 3, padding=1),
    "einsum": Function(lambda x, m: torch.einsum("bchw,cd->bdhw", x, m.mask.flatten().diag())),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MIDDLES)
def test_effective_weights_are_those_that_the_output_depends_on(name):
    torch.manual_seed(0)
    model = Through(MIDDLES[name])
    masks = {
        n: torch.rand(w.shape) < (0.5 if n.startswith("middle") else 0.2) for n, w in pruning.prunable(model).items()
    }
    masks["first.weight"][1] = False  # a channel that the input does not reach
    masks["second.weight"][:, 2] = False  # and one that does not reach the output, unless others do through it
    masks["second.weight"][0, :2] = True
    masks["second.weight"][1] = False  # what the classifier reads of it is cut off
    expected = by_derivatives(model, masks, SHAPE)
    found = effective(model, masks, SHAPE)
    assert found is not None
    assert {n: m.nonzero().tolist() for n, m in found.items()} == {n: m.nonzero().tolist() for n, m in expected.items()}
    assert 0 < count(found) < count(masks), "a case that shows nothing"


class Scaled(nn.Module):
    """A layer whose weight goes through a function before it is used."""

    def __init__(self, function):
        super().__init__()
        self.layer, self.classifier, self.function = nn.Linear(6, 6), nn.Linear(6, 2), function

    def forward(self, x):
        return self.classifier(F.linear(x, self.function(self.layer.weight)))


def test_a_weight_times_a_number_keeps_its_paths():
    model = Scaled(lambda weight: weight * -2.0)
    masks = full(pruning.prunable(model))
    masks["layer.weight"][2] = False
    found = effective(model, masks, (6,))
    assert found is not None
    assert not found["classifier.weight"][:, 2].any() and count(found) == 30 + 10


def by_value(x: Tensor) -> Tensor:
    """Python code that branches on the values of an activation."""
    return -x if x.sum() > 0 else x


class Unseen(torch.autograd.Function):
    """User code that computes outside of tensor operations."""

    @staticmethod
    def forward(ctx, x):
        return torch.from_numpy(x.detach().numpy() * 2)

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 2


UNKNOWN = {
    "by value": Function(lambda x, m: by_value(x)),
    "picked by value": Function(lambda x, m: x.gather(1, x.argsort(1))),
    "largest": Function(lambda x, m: x.topk(4, 1).values),
    "fourier": Function(lambda x, m: torch.fft.fft2(x).real),
    "bicubic": Function(lambda x, m: F.interpolate(x, size=(4, 4), mode="bicubic")),
    "masked softmax": Function(lambda x, m: x.masked_fill(m.mask < 0.5, float("-inf")).softmax(1)),
    "written into a part of another": Function(lambda x, m: torch.zeros_like(x).index_copy_(1, torch.arange(4), x)),
    "numpy": Function(lambda x, m: Unseen.apply(x)),
    "numpy beside": Function(lambda x, m: x[:, :1] + Unseen.apply(x)),
    "lists beside": Function(lambda x, m: x + torch.tensor(x[0, 0].detach().tolist())),
    "own kernel beside": Function(lambda x, m: x + torch.empty_like(x).copy_(torch.from_dlpack(x.detach().roll(1)))),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_effective_is_none_where_paths_are_unknown(name):
    torch.manual_seed(0)
    model = Through(UNKNOWN[name])
    masks = full(pruning.prunable(model))
    assert effective(model, masks, SHAPE) is None
    batch = torch.randn(5, *SHAPE), torch.randint(0, 2, (5,))
    if name != "masked softmax":
        found = diagnose(model, masks, [batch])
        assert (found.effective_kept, found.effective_sparsity, found.disconnected) == (None, None, None)
        assert {layer.effective_kept for layer in found.layers.values()} == {None}


def shy(x: Tensor) -> Tensor:
    """Does not support dispatch modes, like PyTorch's higher-order operators."""
    if _get_current_dispatch_mode() is not None:
        raise NotImplementedError("there was no rule registered for this operator and mode")
    return x * 2


def test_an_operator_without_dispatch_modes_leaves_paths_unknown_and_macs_counted_by_layer():
    model = Through(Function(lambda x, m: shy(x)))
    assert effective(model, full(pruning.prunable(model)), SHAPE) is None
    assert positions(model, SHAPE) == {"first.weight": 16, "second.weight": 16, "classifier.weight": 1}


def test_a_weight_that_is_standardised_before_it_is_used_is_not_followed():
    model = Scaled(lambda weight: weight - weight.mean())
    assert effective(model, full(pruning.prunable(model)), (6,)) is None


@pytest.mark.parametrize("end", [nn.LogSoftmax(1), nn.Softmax(1), nn.RMSNorm(10), nn.LayerNorm(10), nn.Identity()])
def test_the_last_operation_of_a_network_blocks_no_path(end):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 10), end)
    masks = pruning.prune(model, "random", 0.5, scope="layerwise").masks
    found = effective(model, masks, (20,))
    assert found is not None and count(found) == count(masks) == 960


@pytest.mark.parametrize("scale", [1.0, -1.0, 0.0])
def test_the_sign_of_a_residual_scale_blocks_no_path(scale):
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.classifier = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)
            self.scale = nn.Parameter(torch.tensor(scale))

        def forward(self, x):
            x = self.first(x)
            return self.classifier(x + self.scale * torch.relu(self.second(x)))

    masks = full(pruning.prunable(Residual()))
    found = effective(Residual(), masks, (4,))
    assert found is not None and count(found) == 40


def test_channels_that_a_norm_ties_together_reach_the_output_through_each_other():
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    masks = full(pruning.prunable(model))
    masks["2.weight"][:, 1:] = False
    found = effective(model, masks, (3,))
    assert found is not None and count(found) == 12 + 2
    found = effective(nn.Sequential(model[0], nn.BatchNorm1d(4), model[2]), masks, (3,))
    assert found is not None and count(found) == 3 + 2


def test_many_layers_with_one_path_are_connected():
    """Products of small numbers would be zero in any precision."""
    torch.manual_seed(0)
    model = nn.Sequential(*[nn.Linear(100, 100, bias=False) for _ in range(160)])
    masks = {name: torch.zeros(100, 100, dtype=torch.bool) for name in pruning.prunable(model)}
    for mask in masks.values():
        mask[7, 7] = True
    found = effective(model, masks, (100,))
    assert found is not None and count(found) == 160


def test_finding_paths_does_not_change_the_model():
    model = Through(MIDDLES["batch norm"]).train()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    draws, flags = torch.get_rng_state(), [module.training for module in model.modules()]
    effective(model, full(pruning.prunable(model)), SHAPE)
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(draws, torch.get_rng_state()) and flags == [module.training for module in model.modules()]
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    mkldnn = torch.backends.mkldnn.is_available() and torch._C._get_mkldnn_enabled()
    recurrent = nn.LSTM(4, 3, batch_first=True)
    with pytest.raises(AttributeError):  # Flatten is given a tuple
        effective(nn.Sequential(recurrent, nn.Flatten(), nn.Linear(3, 2)), {}, (2, 4))
    assert mkldnn == (torch.backends.mkldnn.is_available() and torch._C._get_mkldnn_enabled())


def test_weights_that_read_a_recurrent_layer_lie_on_paths_through_it():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.recurrent = nn.Linear(4, 4), nn.LSTM(4, 3, batch_first=True)
            self.classifier = nn.Linear(3, 2)

        def forward(self, x):
            return self.classifier(self.recurrent(self.first(x))[0][:, -1])

    masks = full(pruning.prunable(Last()))
    masks["first.weight"][0] = False
    found = effective(Last(), masks, (5, 4))
    assert found is not None and count(found) == 12 + 6
    masks["first.weight"][:] = False
    found = effective(Last(), masks, (5, 4))
    assert found is not None and count(found) == 0
