"""Methods of second derivatives on attention, and on operations that have none."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import pruning
from pruning.masks import count

from .networks import convolutional

METHODS = ["grasp", "prospr"]


class Attention(nn.Module):
    """Rows of an image as tokens, self-attention by PyTorch's one fast operation, a classifier."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.projections, self.classifier = nn.Linear(24, 32), nn.Linear(32, 96), nn.Linear(32, 4)

    def forward(self, images):
        tokens = self.embed(images.transpose(1, 2).flatten(2))
        heads = [part.unflatten(-1, (4, 8)).transpose(1, 2) for part in self.projections(tokens).chunk(3, -1)]
        return self.classifier((tokens + self.attend(*heads).transpose(1, 2).flatten(2)).mean(1))

    def attend(self, query, key, value):
        return F.scaled_dot_product_attention(query, key, value)


class AttentionByHand(Attention):
    """The same, written out."""

    def attend(self, query, key, value):
        return (query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5).softmax(-1) @ value


def attention_module() -> nn.Module:
    torch.manual_seed(0)
    block = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True)
    return nn.Sequential(nn.Flatten(2), nn.Linear(64, 32), block, nn.Flatten(), nn.Linear(96, 4))


def data():
    generator = torch.Generator().manual_seed(0)
    return [(torch.randn(8, 3, 8, 8, generator=generator), torch.arange(8) % 4)]


@pytest.mark.parametrize("train_mode", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_attention_is_differentiated_twice_as_if_it_were_written_out(method, train_mode):
    fast, by_hand = (
        pruning.prune(kind().double(), method, 0.8, [(x.double(), y) for x, y in data()], train_mode=train_mode).masks
        for kind in (Attention, AttentionByHand)
    )
    assert all(torch.equal(fast[name], by_hand[name]) for name in by_hand)


@pytest.mark.parametrize("train_mode", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_pytorchs_attention_module_is_differentiated_twice_in_both_modes(method, train_mode):
    model = attention_module()
    total = sum(weight.numel() for weight in pruning.prunable(model).values())
    assert count(pruning.prune(model, method, 0.8, data(), train_mode=train_mode).masks) == total - round(0.8 * total)
    assert torch.backends.mha.get_fastpath_enabled()
    assert torch.backends.cuda.flash_sdp_enabled()


@pytest.mark.parametrize("method", METHODS)
def test_an_operation_without_a_second_derivative_is_refused_by_its_name(method):
    model = convolutional()
    model[2] = nn.Hardsigmoid()
    with pytest.raises(ValueError, match=f"method {method} takes second .* hardsigmoid, .*relu6.*snip or force"):
        pruning.prune(model, method, 0.8, data())
    if method == "prospr":
        assert pruning.prune(model, method, 0.8, data(), first_order=True).masks


@pytest.mark.parametrize("method", METHODS)
def test_an_error_of_the_networks_own_stays_what_it_is(method):
    class Failing(nn.Linear):
        def forward(self, values):
            raise RuntimeError("of its own")

    with pytest.raises(RuntimeError, match="^of its own$"):
        pruning.prune(nn.Sequential(nn.Flatten(), Failing(192, 4)), method, 0.5, data())
