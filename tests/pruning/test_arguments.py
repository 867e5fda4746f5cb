"""Wrong arguments of prune, diagnose, apply and compact raise one line: what is wrong, where, and what to pass."""

import types

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.parameter import is_lazy

import pruning
from pruning.compaction.compaction import compact
from pruning.diagnostics import diagnose
from pruning.masks import count
from pruning.paths import effective
from training.config import TrainConfig
from training.optimizer import make_optimizer

from .networks import batch, convolutional, whole_state

IMAGES, LABELS = batch()
SHAPE = (3, 8, 8)


def prune(model=None, method="snip", sparsity=0.9, batches=((IMAGES, LABELS),), **options):
    return pruning.prune(convolutional() if model is None else model, method, sparsity, batches, **options)


def refused(call, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


# The network


def parallel() -> nn.Module:
    return nn.Sequential(nn.DataParallel(convolutional()), nn.Flatten())


def distributed() -> nn.Module:
    model = nn.parallel.DistributedDataParallel.__new__(nn.parallel.DistributedDataParallel)
    nn.Module.__init__(model)
    model.module = convolutional()
    return model


def compiled(how: str) -> nn.Module:
    with pytest.warns(DeprecationWarning, match="torch.jit"):
        return torch.jit.trace(convolutional().eval(), IMAGES) if how == "trace" else torch.jit.script(convolutional())


def under_inference_mode() -> nn.Module:
    with torch.inference_mode():
        return convolutional()


NETWORKS = {
    "DataParallel": (
        lambda: nn.DataParallel(convolutional()),
        r"^the model is wrapped in nn.DataParallel, .*: unwrap it",
    ),
    "DataParallel within": (
        parallel,
        r"^0 is wrapped in nn.DataParallel, which copies its weights: unwrap it, \.module",
    ),
    "DistributedDataParallel": (distributed, "is wrapped in nn.DistributedDataParallel"),
    "script": (
        lambda: compiled("script"),
        r"compiled torch.jit module .*: prune the nn.Module that it was compiled from",
    ),
    "trace": (lambda: compiled("trace"), r"compiled torch.jit module"),
    "lazy": (lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(4)), r"^weight of 1 has no shape yet .*one batch first"),
    "frozen": (lambda: convolutional().requires_grad_(False), r"every parameter .* is frozen .*requires_grad_\(True\)"),
    "inference tensors": (under_inference_mode, r"^0.weight was made under torch.inference_mode\(\).* build the model"),
    "meta": (lambda: convolutional().to("meta"), r"^0.weight is on the meta device and has no values"),
    "a function": (lambda: torch.relu, r"^model: expected a torch.nn.Module, not a builtin"),
    "a state dict": (lambda: convolutional().state_dict(), r"^model: expected a torch.nn.Module, not a OrderedDict"),
}


@pytest.mark.parametrize("method", ["snip", "magnitude", "random", "synflow"])
@pytest.mark.parametrize(("make", "message"), NETWORKS.values(), ids=NETWORKS)
@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
def test_a_network_that_cannot_be_pruned_is_refused_at_the_call_and_unchanged(make, message, method):
    model = make()
    plain = isinstance(model, nn.Module) and not any(p.is_meta or is_lazy(p) for p in model.parameters())
    before = whole_state(model) if plain else None
    refused(lambda: prune(model, method), message)
    assert before is None or whole_state(model) == before


def test_a_network_on_two_devices_is_refused():
    model = convolutional()
    model[10] = nn.Linear(16, 4, device="meta")
    refused(lambda: prune(model), r"on several devices, 4.weight on cpu and 10.weight on meta: move it to one")


def test_under_inference_mode_pruning_is_refused_and_no_grad_is_fine():
    model = convolutional()
    with torch.inference_mode():
        refused(
            lambda: prune(model), r"torch.inference_mode\(\) disables: call it outside \(torch.no_grad\(\) is fine\)"
        )
        refused(lambda: diagnose(model, {}, [batch()]), "disables: call it outside")
    with torch.no_grad():
        assert prune(model).masks


def test_batches_made_under_inference_mode_are_accepted():
    with torch.inference_mode():
        made = [batch()]
    assert made[0][0].is_inference()
    found, expected = prune(batches=made).masks, prune().masks
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_frozen_layers_are_pruned_too_if_others_train():
    model = convolutional()
    model[0].requires_grad_(False)
    assert count(prune(model).masks) == count(prune().masks)


def test_an_optimizer_without_anything_to_train_says_so():
    model = convolutional().requires_grad_(False)
    refused(lambda: make_optimizer(model, TrainConfig()), r"every parameter of this network is frozen .*nothing can be")


# Everything else

ARGUMENTS = {
    "loss by a wrong name": ({"loss": "mse"}, r"^loss: one of 'cross_entropy', 'logit', or a function .*, not 'mse'$"),
    "loss of no kind": ({"loss": None}, "^loss: one of 'cross_entropy'.*not None"),
    "percent": ({"sparsity": 90}, r"^sparsity: a fraction in \[0, 1\), not 90; for 90 % write 0.9$"),
    "percent with decimals": ({"sparsity": 99.5}, r"not 99.5; for 99.5 % write 0.995$"),
    "text": ({"sparsity": "90%"}, r"^sparsity: a number, .* not '90%'$"),
    "true": ({"sparsity": True}, "not True"),
    "not a number": ({"sparsity": float("nan")}, r"a fraction in \[0, 1\), not nan"),
    "method as a function": ({"method": torch.rand}, r"^method: a name, such as 'snip' or 'package.module:function'"),
    "a seed for a generator": ({"generator": 0}, r"^generator: a torch.Generator, such as .*manual_seed\(0\), not 0"),
    "shape as a number": (
        {"input_shape": 192},
        r"^input_shape: the sizes of one input, such as \(3, 32, 32\), not 192",
    ),
    "shape of no number": ({"input_shape": (3, None)}, r"not \(3, None\)"),
    "precision": ({"precision": "fp16"}, "^precision: must be fp32 or bf16, not 'fp16'"),
    "batches are none": ({"batches": None}, r"^batches: a list of \(inputs, labels\) pairs, .* not a NoneType"),
    "batches are images": ({"batches": IMAGES}, r"^batches: a list of .*\[\(images, labels\)\].* not a Tensor"),
    "batches by name": ({"batches": {"images": IMAGES, "labels": LABELS}}, "^batches: a list of .* not a dict"),
    "one batch": ({"batches": batch()}, r"^batches: number 0 is a Tensor; pass a list of \(inputs, labels\) pairs"),
    "triples": ({"batches": [(IMAGES, LABELS, LABELS)]}, "^batches: number 0 is a tuple of 3; pass a list"),
    "single images": ({"batches": [(IMAGES[0], 1)]}, "^batches: number 0 has labels that are not a tensor but a int"),
    "arrays": (
        {"batches": [(IMAGES.numpy(), LABELS)]},
        "^batches: number 0 has inputs that are not a tensor but a ndarray",
    ),
    "labels elsewhere": (
        {"batches": [batch(), (IMAGES, LABELS.to("meta"))]},
        "^batches: number 1 has labels on meta, and the model is on cpu: move one of them",
    ),
    "no inputs": (
        {"batches": [(IMAGES[:0], LABELS[:0])]},
        r"^batches: number 0 has no inputs \(shape \[0, 3, 8, 8\]\)",
    ),
    "no batches": ({"batches": []}, "scores weights on data: pass batches="),
    "a round without batches": ({"batches": lambda step: None}, r"^batches of round 1: a list of .* not a NoneType"),
    "a round with a wrong one": ({"batches": lambda step: [IMAGES]}, "^batches of round 1: number 0 is a Tensor"),
}


@pytest.mark.parametrize(("options", "message"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_a_wrong_argument_raises_a_one_line_error_before_anything_runs(options, message):
    model = convolutional()
    before = whole_state(model)
    refused(lambda: prune(model, **options), message)
    assert whole_state(model) == before


def test_a_generator_on_a_gpu_is_refused(monkeypatch):
    class OnGpu(types.SimpleNamespace):
        device = torch.device("cuda:0")

    monkeypatch.setattr(torch, "Generator", OnGpu)
    refused(lambda: prune(generator=OnGpu()), r"^generator: it is on cuda:0; make it on the CPU, torch.Generator\(\)")


def test_numbers_of_numpy_are_numbers():
    assert count(prune(sparsity=np.float32(0.5)).masks) == count(prune(sparsity=0.5).masks)


def test_one_input_is_too_few_for_batch_norm_and_the_error_says_what_to_do():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.BatchNorm1d(8), nn.Linear(8, 4))
    single = [(IMAGES[:1], LABELS[:1])]
    refused(
        lambda: prune(model, batches=single), r"^batches: one input is too few for BatchNorm .*\(train_mode=False\)"
    )
    assert prune(model, batches=single, train_mode=False).masks


def test_diagnosing_refuses_what_pruning_does():
    model = convolutional()
    masks = prune(model).masks
    refused(lambda: diagnose(model, masks, [batch()], loss="mse"), "^loss: one of 'cross_entropy'")
    refused(lambda: diagnose(model, masks, batch()), "^batches: number 0 is a Tensor")
    refused(lambda: diagnose(model, masks, []), "scores weights on data")
    refused(lambda: diagnose(nn.DataParallel(model), masks, [batch()]), "wrapped in nn.DataParallel")
    assert diagnose(model.requires_grad_(False), masks, [batch()]).sparsity > 0.8  # a trained one may be frozen


# Masks of another network


def other(change) -> pruning.Masks:
    masks = prune().masks
    change(masks)
    return masks


MASKS = {
    "a name": (
        lambda m: m.update({"other.weight": m["0.weight"]}),
        "^the model has no parameter 'other.weight': .*another",
    ),
    "a shape": (
        lambda m: m.update({"0.weight": torch.ones(8, 3, 1, 1, dtype=torch.bool)}),
        r"^the mask of 0.weight has the shape \[8, 3, 1, 1\] and the parameter \[8, 3, 3, 3\]: .*another network",
    ),
    "a type": (
        lambda m: m.update({"0.weight": m["0.weight"].float()}),
        r"^the mask of 0.weight must be a tensor of bool",
    ),
    "an array": (lambda m: m.update({"0.weight": m["0.weight"].numpy()}), "a tensor of bool, not ndarray"),
    "a device": (
        lambda m: m.update({"0.weight": m["0.weight"].to("meta")}),
        "^the mask of 0.weight is on meta and the",
    ),
}


@pytest.mark.parametrize(("change", "message"), MASKS.values(), ids=MASKS)
def test_masks_of_another_network_are_refused_before_anything_is_written(change, message):
    model, masks = convolutional(), other(change)
    before = whole_state(model)
    masking = pruning.FixedMask(masks)
    calls = [
        lambda: pruning.apply(model, masks),
        lambda: compact(model, masks, SHAPE),
        lambda: effective(model, masks, SHAPE),
        lambda: diagnose(model, masks, [batch()]),
    ]
    if "meta" not in message and "ndarray" not in message:
        calls.append(lambda: masking.before_training(model, torch.optim.SGD(model.parameters(), 0.1)))
    for call in calls:
        refused(call, message)
    assert whole_state(model) == before


def test_diagnosing_needs_a_mask_for_every_prunable_weight():
    masks = prune().masks
    del masks["4.weight"]
    refused(lambda: diagnose(convolutional(), masks, [batch()]), "no mask for 4.weight: .*another network")
