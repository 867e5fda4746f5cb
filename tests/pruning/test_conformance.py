"""Requirements on every registered method: exact counts, determinism, and an unchanged model."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import pruning
from pruning.masks import count, kept_count
from pruning.problem import Batch
from pruning.scopes import SCOPES, reserved

from .networks import batch, convolutional, residual

METHODS = [name for name in pruning.names() if pruning.find(name).removes]


def few_rounds(method: str) -> dict[str, int]:
    return {"rounds": 3} if pruning.find(method).rounds else {}


def data(method: str, seed: int = 0) -> list[Batch]:
    """As many batches as the method needs."""
    preset = pruning.find(method)
    return [batch(seed + number) for number in range(preset.batches(preset.options))]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.9, 0.99, 0.999])
def test_kept_count_is_exact(method, sparsity):
    model = convolutional()
    total = sum(w.numel() for w in pruning.prunable(model).values())
    pruned = pruning.prune(model, method, sparsity, data(method), **few_rounds(method))
    assert count(pruned.masks) == kept_count(total, sparsity)


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(METHODS), st.floats(0, 0.999), st.booleans(), st.integers(1, 12), st.integers(0, 1000))
def test_kept_count_is_exact_on_random_networks_whichever_end_is_kept(method, sparsity, invert, width, seed):
    model = (residual if seed % 2 else convolutional)(seed, width)
    total = sum(w.numel() for w in pruning.prunable(model).values())
    pruned = pruning.prune(model, method, sparsity, data(method, seed), invert=invert, **few_rounds(method))
    assert count(pruned.masks) == total - round(sparsity * total)
    assert set(pruned.masks) == set(pruning.prunable(model))


@pytest.mark.parametrize("method", METHODS)
def test_scoring_leaves_weights_buffers_flags_gradients_and_random_state_bit_identical(method):
    model = convolutional()
    model[1].eval()  # a flag that differs from the rest
    model(batch()[0]).sum().backward()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    flags, random = [m.training for m in model.modules()], torch.get_rng_state()
    pruning.prune(model, method, 0.9, data(method), **few_rounds(method))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), gradients, strict=True))
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert [m.training for m in model.modules()] == flags
    assert torch.equal(torch.get_rng_state(), random)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize("method", METHODS)
def test_the_same_generator_gives_the_same_mask_whatever_the_global_random_state(method):
    masks = []
    for state in (1, 2):
        generator = torch.Generator().manual_seed(7)
        model = convolutional()  # with dropout, which draws from the global state
        torch.manual_seed(state)
        masks.append(pruning.prune(model, method, 0.8, data(method), generator=generator, **few_rounds(method)).masks)
    assert all(torch.equal(masks[0][name], masks[1][name]) for name in masks[0])


@pytest.mark.parametrize("method", METHODS)
def test_every_scope_keeps_the_exact_count(method):
    model = convolutional()
    total = sum(w.numel() for w in pruning.prunable(model).values())
    for scope in SCOPES if "scope" in pruning.find(method).options else ():
        pruned = pruning.prune(model, method, 0.87, data(method), scope=scope, **few_rounds(method))
        assert count(pruned.masks) == kept_count(total, 0.87)


@pytest.mark.parametrize("method", METHODS)
def test_every_floor_is_held_and_keeps_the_exact_count(method):
    model = residual()
    total = sum(w.numel() for w in pruning.prunable(model).values())
    for floor in (0.01, 0.5, 1.0) if "floor" in pruning.find(method).options else ():
        masks = pruning.prune(model, method, 0.99, data(method), floor=floor, **few_rounds(method)).masks
        least = reserved({name: torch.ones_like(mask) for name, mask in masks.items()}, kept_count(total, 0.99), floor)
        assert count(masks) == kept_count(total, 0.99)
        assert all(int(mask.sum()) >= max(1, least[name]) for name, mask in masks.items())


@pytest.mark.parametrize("method", METHODS)
def test_every_pass_over_a_batch_is_counted_and_costs_at_least_as_much_as_an_input(method):
    pruned = pruning.prune(convolutional(), method, 0.9, data(method), **few_rounds(method))
    assert pruned.work >= pruned.passes
    assert (pruned.work > 0) == (pruned.passes > 0)
    assert not pruning.find(method).data or pruned.work >= 3 * sum(len(labels) for _, labels in data(method))
