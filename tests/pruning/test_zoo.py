"""Networks of many kinds: exact counts, unchanged models, compaction exact or declined."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pruning
from pruning.compaction.compaction import NotCompacted, try_compact
from pruning.diagnostics import diagnose
from pruning.macs import positions
from pruning.masks import count, full, kept_count, prunable
from pruning.paths import effective

from .zoo import ZOO, images, network

SHAPE = (3, 32, 32)
METHODS: dict[str, dict[str, Any]] = {
    "random": {},
    "erk": {},
    "magnitude": {},
    "snip": {},
    "grasp": {},
    "force": {"rounds": 2},
    "synflow": {"rounds": 2},
    "ntk_sap": {"rounds": 1, "inputs": 4},
    "prospr": {},
    "rigl": {},
}
LARGE = {"googlenet": ("random", "snip"), "densenet121": ("random", "snip")}  # millions of weights
CASES = [(name, method) for name in ZOO for method in LARGE.get(name, METHODS)]
COMPACTED = ("mobilenet_v3_small", "densenet", "zero branches")
REFUSED = {  # network and method -> what the error says
    ("mobilenet_v3_small", "grasp"): "method grasp takes second derivatives, and PyTorch has none of hardsigmoid",
    ("mobilenet_v3_small", "prospr"): "method prospr takes second derivatives, and PyTorch has none of hardsigmoid",
    ("mobilenet_v3_small", "phew"): "phew cannot follow",
    ("vit", "phew"): "phew",
    ("swin", "phew"): "phew",
    ("lstm", "phew"): "phew cannot follow",
    ("attention", "phew"): "phew",
    ("unet", "phew"): "phew cannot follow",
}


@pytest.fixture(scope="module")
def models() -> Callable[[str], nn.Module]:
    """The networks, each made once: nothing may change them."""
    made: dict[str, nn.Module] = {}

    def get(name: str) -> nn.Module:
        if name not in made:
            made[name] = network(name)
        return made[name]

    return get


def state(model: nn.Module) -> list[Any]:
    """Everything that scoring could change besides values: which objects the tensors are, flags, gradients, hooks, draws."""
    tensors = [*model.named_parameters(), *model.named_buffers()]
    return [
        [(name, id(tensor), tensor.requires_grad, tensor.grad is None, tensor.dtype) for name, tensor in tensors],
        [
            (name, module.training, len(vars(module)), len(module._forward_hooks))
            for name, module in model.named_modules()
        ],
        torch.get_rng_state().tolist(),
    ]


def same_tensors(model: nn.Module, before: dict[str, Tensor]) -> bool:
    """Bit for bit."""
    return all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pruning.PruningWarning")
@pytest.mark.parametrize(("name", "method"), CASES)
def test_counts_are_exact_and_the_model_is_left_as_it_was(name, method, models):
    model = models(name)
    before, tensors = state(model), {n: tensor.clone() for n, tensor in model.state_dict().items()}
    if (name, method) in REFUSED:
        with pytest.raises(ValueError, match=REFUSED[name, method]):
            pruning.prune(model, method, 0.9, [images()], **METHODS[method])
    else:
        pruned = pruning.prune(model, method, 0.9, [images()], **METHODS[method])
        weights = prunable(model)
        assert {n: mask.shape for n, mask in pruned.masks.items()} == {n: w.shape for n, w in weights.items()}
        assert count(pruned.masks) == kept_count(sum(w.numel() for w in weights.values()), 0.9)
    assert state(model) == before and same_tensors(model, tensors)


@pytest.mark.parametrize(("name", "method"), [case for case in REFUSED if case[1] == "phew"])
def test_phew_refuses_by_name_what_it_cannot_follow(name, method, models):
    with pytest.raises(ValueError, match=REFUSED[name, method]):
        pruning.prune(models(name), method, 0.9, input_shape=SHAPE)


@pytest.mark.slow
@pytest.mark.parametrize("name", ZOO)
def test_macs_and_paths_are_known_of_every_network(name, models):
    model = models(name)
    before, tensors = state(model), {n: tensor.clone() for n, tensor in model.state_dict().items()}
    uses, masks = positions(model, SHAPE), full(prunable(model))
    unused = {weight for weight, times in uses.items() if not times}
    assert all(weight.startswith("aux") for weight in unused) and bool(unused) == (name == "googlenet")
    whole = effective(model, masks, SHAPE)
    assert whole is not None
    for weight, mask in whole.items():  # at this size some elements of a kernel see nothing but padding
        assert mask.any() == (weight not in unused), weight
    generator = torch.Generator().manual_seed(0)
    sparse = {weight: torch.rand(mask.shape, generator=generator) < 0.05 for weight, mask in masks.items()}
    some = effective(model, sparse, SHAPE)
    assert some is not None
    assert all(not (mask & ~(whole[weight] & sparse[weight])).any() for weight, mask in some.items())
    assert state(model) == before and same_tensors(model, tensors)


@pytest.mark.parametrize("name", [name for name in ZOO if name not in LARGE])
def test_every_network_has_diagnostics(name, models):
    model = models(name)
    found = diagnose(model, full(prunable(model)), [images()])
    assert found.sparsity == 0.0 <= found.effective_sparsity < 0.25 and found.disconnected is False
    assert found.macs_kept == found.macs_dense > 0 and found.gradient_norm > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ZOO if name not in LARGE])
@pytest.mark.parametrize("train", [False, True])
def test_compaction_computes_the_same_as_the_masked_network_or_is_refused(name, train, models):
    model = copy.deepcopy(models(name)).double()
    masks = full(prunable(model))
    for mask in masks.values():
        mask[1::2] = False  # every second output of every layer
    pruning.apply(model, masks)
    found = try_compact(model, masks, SHAPE)
    assert isinstance(found, NotCompacted) == (name not in COMPACTED)
    if isinstance(found, NotCompacted):
        assert found.reason
        return
    assert found.weights < found.weights_dense
    inputs = images()[0].double()
    outputs = []
    for each in (model, found.model):
        torch.manual_seed(0)
        outputs.append(each.train(train)(inputs))
    assert torch.allclose(*outputs, atol=1e-9)
