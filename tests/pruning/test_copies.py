"""Networks that cannot be copied, or that share modules: pruned like others, and compacted exactly or not at all."""

import io
import threading

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import pruning
from pruning.compaction.compaction import Compaction, NotCompacted, compact, try_compact
from pruning.diagnostics import diagnose
from pruning.masks import count, kept_count

from .networks import SHARING, batch, sharing, whole_state
from .test_compaction import IMAGE, assert_trains_the_same, drop_outputs, keep_all
from .test_conformance import data, few_rounds


class Plain(nn.Module):
    """A network with a channel that can be removed."""

    def __init__(self):
        super().__init__()
        self.conv, self.classifier = nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.Linear(4, 4)

    def forward(self, x):
        return self.classifier(F.relu(self.conv(x)).mean((2, 3)))


class Locked(Plain):
    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


class Logging(Plain):
    def __init__(self):
        super().__init__()
        self.log = io.TextIOWrapper(io.BytesIO())


class Keeping(Plain):
    def forward(self, x):
        self.features = F.relu(self.conv(x))
        return self.classifier(self.features.mean((2, 3)))


class Single(Plain):
    def __deepcopy__(self, memo):
        return self


class Lending(Plain):
    """Its copies have its own parameters."""

    def __deepcopy__(self, memo):
        copy = Plain()
        copy.conv = self.conv
        return copy


UNCOPYABLE = {
    Locked: "TypeError: cannot pickle '_thread.lock' object",
    Logging: "TypeError: cannot pickle",
    Keeping: "Only Tensors created explicitly by the user",
    Single: "its copy shares modules or parameters",
    Lending: "its copy shares modules or parameters",
}


def made(kind: type[nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    model = kind()
    model(batch()[0])  # from here on one of them keeps an activation
    return model


@pytest.mark.parametrize("kind", UNCOPYABLE)
def test_a_network_that_cannot_be_copied_is_not_compacted_with_a_warning(kind):
    model = made(kind)
    before = whole_state(model)
    masks = drop_outputs(model, conv=[0, 2])
    found = try_compact(model, masks, IMAGE)
    assert isinstance(found, NotCompacted)
    assert UNCOPYABLE[kind] in found.reason
    with pytest.warns(UserWarning, match=r"the network is not compacted: this network cannot be copied"):
        assert compact(model, masks, IMAGE) is None
    assert whole_state(model) == before
    assert isinstance(try_compact(made(Plain), masks, IMAGE), Compaction)


@pytest.mark.parametrize("kind", UNCOPYABLE)
@pytest.mark.parametrize("method", ["force", "synflow", "prospr", "phew"])
def test_a_network_that_cannot_be_copied_is_pruned(method, kind):
    model, other = made(kind), made(Plain)
    before = whole_state(model)
    for precision in ("fp32", "bf16"):
        masks = [
            pruning.prune(each, method, 0.95, data(method), precision=precision, **few_rounds(method)).masks
            for each in (model, other)
        ]
        assert count(masks[0]) == kept_count(4 * 27 + 16, 0.95)
        assert precision == "bf16" or all(torch.equal(mask, masks[1][name]) for name, mask in masks[0].items())
    diagnose(model, masks[0], [batch()])
    assert whole_state(model) == before


def test_the_reason_why_a_network_is_not_compacted_is_given():
    found = try_compact(made(Plain), keep_all(made(Plain)), IMAGE)
    assert found == NotCompacted("every channel may carry something")
    hooked = made(Plain)
    hooked.register_forward_hook(lambda *_: None)
    assert try_compact(hooked, keep_all(hooked), IMAGE) == NotCompacted("this network has hooks")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", SHARING)
def test_networks_that_share_modules_or_weights_train_the_same_or_are_not_compacted(kind, seed):
    model, draws = sharing(kind, seed), torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
    masks = keep_all(model)
    for name in [name for name in masks if "classifier" not in name]:
        masks[name][torch.rand(len(masks[name]), generator=draws) < 0.5] = False
    if kind == "TwoNames":
        assert_trains_the_same(model, masks, IMAGE)
    else:
        assert compact(model, masks, IMAGE) is None
