"""Attention's projections: pruned as three matrices in one parameter, their multiply-accumulates counted."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import pruning
from pruning.ablations import shuffle_layerwise
from pruning.diagnostics import diagnose
from pruning.macs import positions
from pruning.masks import count, full, kept_count, prunable
from pruning.scopes import select

TOKENS, WIDTH = 5, 8
PACKED = "attention.in_proj_weight"


class Attention(nn.Module):
    """Attention over tokens [B, 5, 8] of the first ``asked`` as queries, and a classifier of their mean."""

    def __init__(self, asked: int = TOKENS, **options):
        super().__init__()
        torch.manual_seed(0)
        self.attention = nn.MultiheadAttention(WIDTH, 2, **{"batch_first": True, **options})
        self.classifier = nn.Linear(WIDTH, 3)
        self.asked = asked

    def forward(self, x):
        x = x if self.attention.batch_first else x.transpose(0, 1)
        queries = x[:, : self.asked] if self.attention.batch_first else x[: self.asked]
        keys = x if self.attention.kdim == WIDTH else torch.cat([x, x[..., : self.attention.kdim - WIDTH]], -1)
        found = self.attention(queries, keys, keys)[0]
        return self.classifier(found.mean(1 if self.attention.batch_first else 0))


def encoder() -> nn.Sequential:
    """PyTorch's own encoder: in evaluation it bypasses ``MultiheadAttention.forward``."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(WIDTH, 2, 16, batch_first=True)
    return nn.Sequential(nn.TransformerEncoder(layer, 2), nn.Flatten(), nn.Linear(TOKENS * WIDTH, 3))


def tokens(size: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and labels."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(size, TOKENS, WIDTH, generator=generator), torch.randint(0, 3, (size,), generator=generator)


def test_attentions_projections_are_prunable_and_come_in_the_order_of_the_network():
    assert list(prunable(Attention())) == [PACKED, "attention.out_proj.weight", "classifier.weight"]
    apart = [f"attention.{letter}_proj_weight" for letter in "qkv"]
    assert list(prunable(Attention(kdim=10, vdim=10)))[:3] == apart


@pytest.mark.parametrize("options", [{}, {"kdim": 10, "vdim": 10}, {"batch_first": False}])
@pytest.mark.parametrize("method", ["random", "magnitude", "snip", "synflow", "force", "ntk_sap"])
def test_every_method_keeps_as_many_weights_as_asked_for_of_an_attention_network(method, options):
    model = Attention(**options)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    masks = pruning.prune(model, method, 0.9, [tokens()], input_shape=(TOKENS, WIDTH)).masks
    total = sum(weight.numel() for weight in prunable(model).values())
    assert count(masks) == kept_count(total, 0.9)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_scoring_in_bf16_includes_attention():
    """At high sparsity bf16 scoring runs only the live part of a network, but all of attention."""
    model = Attention()
    masks = pruning.prune(model, "force", 0.98, [tokens()], rounds=3, precision="bf16").masks
    assert count(masks) == kept_count(sum(weight.numel() for weight in prunable(model).values()), 0.98)


def test_phew_refuses_attention_by_name_and_compaction_does_not_narrow_it():
    model = Attention()
    masks = pruning.prune(model, "random", 0.9).masks
    assert pruning.compact(model, masks, (TOKENS, WIDTH)) is None
    with pytest.raises(ValueError, match="phew cannot follow"):
        pruning.prune(model, "phew", 0.5, input_shape=(TOKENS, WIDTH))


@pytest.mark.parametrize("scope", ["layerwise", "erk", "uniform_plus"])
def test_rules_by_layer_see_three_matrices_in_a_packed_projection(scope):
    model = Attention()
    generator = torch.Generator().manual_seed(0)
    packed = {name: torch.rand(weight.shape, generator=generator) for name, weight in prunable(model).items()}
    apart = {f"{letter}_proj_weight": part for letter, part in zip("qkv", packed[PACKED].chunk(3), strict=True)}
    apart |= {name: score for name, score in packed.items() if name != PACKED}
    kept = kept_count(sum(score.numel() for score in packed.values()), 0.6)
    found, expected = select(packed, kept, None, scope), select(apart, kept, None, scope)
    assert torch.equal(found[PACKED], torch.cat([expected[f"{letter}_proj_weight"] for letter in "qkv"]))
    assert all(torch.equal(found[name], expected[name]) for name in list(packed)[1:])
    assert count(found) == kept
    if scope != "uniform_plus":
        assert len({int(part.count_nonzero()) for part in found[PACKED].chunk(3)}) == 1


def test_a_floor_is_held_in_each_of_the_three_matrices():
    scores = {PACKED: torch.cat([torch.rand(8, 8) + 2, torch.rand(16, 8)]), "classifier.weight": torch.rand(8, 8)}
    masks = select(scores, 64, None, "global", 0.5)  # an even share of a matrix is 16 weights
    assert [int(part.count_nonzero()) for part in masks[PACKED].chunk(3)] == [40, 8, 8]


def test_shuffling_keeps_the_count_of_each_of_the_three_matrices():
    mask = torch.zeros(24, 8, dtype=torch.bool)
    mask[:8] = True
    mask[8, :3] = True
    found = shuffle_layerwise({PACKED: mask}, torch.Generator().manual_seed(0))[PACKED]
    assert [int(part.count_nonzero()) for part in found.chunk(3)] == [64, 3, 0]


@pytest.mark.parametrize("name", ["set", "rigl"])
def test_drop_and_grow_keeps_the_count_of_each_of_the_three_matrices(name):
    model = Attention()
    made = pruning.prune(model, name, 0.7).masks
    counts = [int(part.count_nonzero()) for part in made[PACKED].chunk(3)]
    horizon = pruning.TrainingHorizon(0.7, 4, 2, torch.Generator().manual_seed(0), False)
    preset = pruning.find(name)
    options = {option: preset.options[option] for option in preset.masking_options}
    masking = preset.masking(made, horizon, **options | ({"every": 1} if "every" in options else {}))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    masking.before_training(model, optimizer)
    images, labels = tokens()
    for epoch in range(1, 5):
        for _ in range(2):
            optimizer.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            masking.before_step()
            optimizer.step()
            masking.after_step()
        masking.after_epoch(epoch)
    assert sum(done.revived for done in masking.rounds)
    assert [int(part.count_nonzero()) for part in masking.masks[PACKED].chunk(3)] == counts


def test_macs_of_attention_are_tokens_times_weights():
    everything = {PACKED: TOKENS, "attention.out_proj.weight": TOKENS, "classifier.weight": 1}
    assert positions(Attention(), (TOKENS, WIDTH)) == everything
    assert positions(Attention(batch_first=False), (TOKENS, WIDTH)) == everything


def test_queries_keys_and_values_are_counted_by_their_own_tokens():
    model = Attention(asked=2)
    assert positions(model, (TOKENS, WIDTH)) == {
        PACKED: (2, TOKENS, TOKENS), "attention.out_proj.weight": 2, "classifier.weight": 1,
    }  # fmt: skip
    masks = full(prunable(model))
    masks[PACKED][:WIDTH] = False  # all queries
    layer = diagnose(model, masks, [tokens()]).layers[PACKED]
    assert (layer.macs_dense, layer.macs_kept) == (64 * (2 + 5 + 5), 64 * (5 + 5))
    separate = positions(Attention(asked=2, kdim=10, vdim=10), (TOKENS, WIDTH))
    assert [separate[f"attention.{letter}_proj_weight"] for letter in "qkv"] == [2, TOKENS, TOKENS]


def test_macs_are_counted_where_pytorchs_encoder_skips_attentions_forward():
    uses = positions(encoder().eval(), (TOKENS, WIDTH))
    assert set(uses.values()) == {TOKENS, 1} and len(uses) == 9
    assert torch.backends.mha.get_fastpath_enabled()


def test_pytorchs_fast_encoder_computes_with_the_masked_weights():
    model = encoder().eval()
    masks = pruning.prune(model, "random", 0.5).masks
    images, _ = tokens()
    with torch.no_grad():
        dense = model(images)
        pruning.apply(model, masks)
        fast = model(images)
    slow = model(images)  # with gradients there is no fast way
    assert not torch.allclose(fast, dense) and torch.allclose(fast, slow, atol=1e-5)


def test_a_layers_weight_is_counted_in_a_function_called_with_it():
    class Given(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(8, 8, bias=False)

        def forward(self, x):
            return F.linear(x, self.layer.weight)[:, 0] @ self.layer.weight.T

    assert positions(Given(), (TOKENS, WIDTH)) == {"layer.weight": TOKENS + 1}


def test_tensors_in_one_storage_are_counted_apart():
    model = nn.Sequential(nn.Linear(8, 4, bias=False), nn.Linear(4, 8, bias=False))
    flat = torch.randn(64)
    model[0].weight.data, model[1].weight.data = flat[:32].view(4, 8), flat[32:].view(8, 4)
    assert positions(model, (TOKENS, WIDTH)) == {"0.weight": TOKENS, "1.weight": TOKENS}


@pytest.mark.slow
def test_counting_macs_imports_no_compiler():
    code = """
import sys, torch
from torch import nn
from pruning.macs import positions
assert positions(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), (3, 2, 2)) == {"1.weight": 1}
assert not any(name.startswith("torch._dynamo") for name in sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
