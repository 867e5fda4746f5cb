"""Diagnostics: what a mask does to a network, beyond how many weights it removes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _NormBase

from pruning.masks import PRUNABLE_LAYERS, TRANSPOSED, Masks, count, prunable
from pruning.problem import LOSSES, Batch, Loss, Problem, scoring_mode


@dataclass(frozen=True)
class Diagnostics:
    """Measured on the pruned network at initialization.

    Attributes:
        effective_sparsity: fraction of weights removed or cut off from the input or the output.
        effective_kept: by tensor, the kept weights that lie on a path from input to output.
        empty_layers: tensors without a single kept weight.
        macs_dense, macs_kept: multiply-accumulates of the prunable layers for one input.
        gradient_norm: Σ c_i g_i(θ⊙c)², the squared norm of the gradient that training starts with.
        force_objective: Σ c_i |θ_i g_i(θ⊙c)| (de Jorge et al. 2021, eq. 4).
    """

    effective_sparsity: float
    effective_kept: dict[str, int]
    empty_layers: int
    macs_dense: int
    macs_kept: int
    gradient_norm: float
    force_objective: float


def diagnose(
    model: nn.Module,
    masks: Masks,
    batches: Sequence[Batch],
    loss: str | Loss = "cross_entropy",
    train_mode: bool = True,
) -> Diagnostics:
    """Measure ``masks`` on ``model`` (at its dense initial weights) and ``batches``. The model is not changed."""
    problem = Problem(model, LOSSES[loss] if isinstance(loss, str) else loss, torch.Generator(), None)
    problem.batches = list(batches)
    problem.mask(masks)
    with scoring_mode(model, train_mode), torch.enable_grad():
        gradients = problem.gradients()
    alive = effective(model, masks, problem.input_shape)
    macs = positions(model, problem.input_shape)
    kept = {name: int(mask.count_nonzero()) for name, mask in masks.items()}
    total = sum(mask.numel() for mask in masks.values())
    return Diagnostics(
        effective_sparsity=1 - count(alive) / total,
        effective_kept={name: int(mask.count_nonzero()) for name, mask in alive.items()},
        empty_layers=sum(k == 0 for k in kept.values()),
        macs_dense=sum(macs[name] * mask.numel() for name, mask in masks.items()),
        macs_kept=sum(macs[name] * kept[name] for name in masks),
        gradient_norm=float(sum((g * masks[name]).double().square().sum() for name, g in gradients.items())),
        force_objective=float(
            sum((problem.dense[name] * g * masks[name]).double().abs().sum() for name, g in gradients.items())
        ),
    )


def effective(model: nn.Module, masks: Masks, input_shape: Sequence[int]) -> Masks:
    """The kept weights that some input reaches and that reach some output.

    With every kept weight positive, no biases, normalisation layers as the identity and average for max pooling,
    the output is a sum over live paths: a weight lies on one iff its gradient is above zero. Weights are scaled by
    their layer's fan-in and taken in float64, so that deep sparse networks do not underflow. (Pooling and
    normalisation called as functions, rather than as modules, stay what they are.)
    """
    state: dict[str, Tensor] = {}
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        state[name] = tensor.detach().double() if tensor.is_floating_point() else tensor
        if name.rpartition(".")[2] == "bias":
            state[name] = torch.zeros_like(state[name])
    for name, mask in masks.items():
        state[name] = (mask.double() / max(1, mask[0].numel())).requires_grad_()
    ones = torch.ones(1, *input_shape, dtype=torch.float64, device=next(iter(masks.values())).device)
    with scoring_mode(model, train=False), torch.enable_grad(), _open_paths(model):
        output = functional_call(model, state, (ones,)).sum()
    gradients = torch.autograd.grad(output, [state[name] for name in masks], allow_unused=True, materialize_grads=True)
    return {name: mask & (gradient > 0) for (name, mask), gradient in zip(masks.items(), gradients, strict=True)}


_NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.LocalResponseNorm)


@contextmanager
def _open_paths(model: nn.Module) -> Iterator[None]:
    """Let every normalisation layer pass its input on, and every ``MaxPool2d`` answer with the average.

    So all inputs of a window count, not the largest alone, and nothing is subtracted.
    """

    def average(module: nn.MaxPool2d, inputs: tuple[Tensor], output: Any) -> Tensor:
        kernel, stride, padding = module.kernel_size, module.stride, module.padding
        return nn.functional.avg_pool2d(inputs[0], kernel, stride, padding, ceil_mode=module.ceil_mode)

    def identity(module: nn.Module, inputs: tuple[Tensor], output: Any) -> Tensor:
        return inputs[0]

    handles = [m.register_forward_hook(average) for m in model.modules() if isinstance(m, nn.MaxPool2d)]
    handles += [m.register_forward_hook(identity) for m in model.modules() if isinstance(m, _NORMS)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def positions(model: nn.Module, input_shape: Sequence[int]) -> dict[str, int]:
    """Multiply-accumulates that one weight takes part in for one input, by parameter name (1 in a linear layer)."""
    names = {id(parameter): name for name, parameter in prunable(model).items()}
    found = dict.fromkeys(names.values(), 0)

    def record(module: nn.Module, inputs: Any, output: Tensor) -> None:
        # a weight of a convolution is used once an output position, of a transposed one once an input position
        side = inputs[0] if isinstance(module, TRANSPOSED) else output
        found[names[id(module.weight)]] += side.numel() // cast(Tensor, module.weight).shape[0]

    handles = [m.register_forward_hook(record) for m in model.modules() if isinstance(m, PRUNABLE_LAYERS)]
    like = next(model.parameters())
    try:
        with scoring_mode(model, train=False), torch.no_grad():
            model(torch.zeros(1, *input_shape, device=like.device, dtype=like.dtype))
    finally:
        for handle in handles:
            handle.remove()
    return found
