"""Networks that return more than logits."""

import copy
from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

import pruning
from pruning.diagnostics import diagnose
from pruning.outputs import is_single, logits_of


class Named(NamedTuple):
    loss: Tensor
    logits: Tensor


@dataclass
class Answer:
    hidden: Tensor
    logits: Tensor


SHIPPED = [name for name in pruning.names() if pruning.find(name).shipped and pruning.find(name).removes]
LOGITS, OTHER = torch.ones(2, 3), torch.zeros(2, 3)


@pytest.mark.parametrize(
    "output",
    [
        LOGITS,
        (LOGITS, OTHER),
        [LOGITS],
        ((LOGITS, OTHER), OTHER),
        Named(OTHER, LOGITS),
        Answer(OTHER, LOGITS),
        OrderedDict(out=LOGITS, aux=OTHER),
        {"loss": OTHER, "logits": LOGITS},
    ],
    ids=lambda output: type(output).__name__,
)
def test_the_logits_are_the_output_of_that_name_or_the_first(output):
    assert logits_of(output) is LOGITS
    assert is_single(output) is isinstance(output, Tensor)


@pytest.mark.parametrize("output", [None, (), {}, "logits", (None, LOGITS), 3])
def test_an_output_without_logits_raises_an_error(output):
    with pytest.raises(TypeError, match="a network must return logits, or several outputs with the logits first, not"):
        logits_of(output)


class Heads(nn.Module):
    """Two heads; the auxiliary one in train mode only, or always."""

    def __init__(self, always: bool):
        super().__init__()
        self.body, self.head, self.auxiliary = nn.Conv2d(1, 8, 3), nn.Linear(8, 3), nn.Linear(8, 3)
        self.always = always

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        features = torch.relu(self.body(images)).mean((2, 3))
        if self.always or self.training:
            return self.head(features), self.auxiliary(features)
        return self.head(features)


@pytest.mark.parametrize("always", [False, True], ids=["in training", "always"])
@pytest.mark.parametrize("method", SHIPPED)
def test_every_method_prunes_a_network_with_an_auxiliary_head_to_the_weight_and_leaves_it_as_it_was(method, always):
    torch.manual_seed(0)
    model = Heads(always)
    before = copy.deepcopy(model.state_dict())
    batch = (torch.rand(4, 1, 6, 6), torch.tensor([0, 1, 2, 0]))
    total = sum(weight.numel() for weight in pruning.prunable(model).values())
    masks = pruning.prune(model, method, 0.5, [batch], input_shape=(1, 6, 6)).masks
    assert sum(int(mask.sum()) for mask in masks.values()) == total - round(total / 2)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    found = diagnose(model, masks, [batch])
    assert found.layers["auxiliary.weight"].total == 24


def test_scores_are_those_of_the_logits_alone():
    torch.manual_seed(0)
    model = Heads(always=True)
    batch = (torch.rand(4, 1, 6, 6), torch.tensor([0, 1, 2, 0]))
    masks = pruning.prune(model, "snip", 24 / (72 + 24 + 24), [batch]).masks
    assert not masks["auxiliary.weight"].any()  # 24 weights score zero, and as many go
