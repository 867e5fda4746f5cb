"""Diagnostics: what a mask does to a network, beyond how many weights it removes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from pruning.functional import call
from pruning.macs import Uses, positions, tensor_macs
from pruning.masks import Masks
from pruning.modes import scoring_mode
from pruning.outputs import logits_of
from pruning.problem import LOSSES, Batch, Loss, Problem, force_objective


@dataclass(frozen=True)
class Layer:
    """One masked tensor. MACs are multiply-accumulates for one input."""

    total: int
    kept: int
    effective_kept: int  # kept weights that lie on a path from input to output
    macs_dense: int
    macs_kept: int


@dataclass(frozen=True)
class Diagnostics:
    """Measured on a pruned network, at initialization or after training.

    Attributes:
        layers: by tensor, in order of the network.
        gradient_norm: Σ c_i g_i(θ⊙c)², the squared norm of the gradient that training goes on with.
        force_objective: Σ c_i |θ_i g_i(θ⊙c)| (de Jorge et al. 2021, eq. 4).
    """

    layers: dict[str, Layer]
    gradient_norm: float
    force_objective: float

    @property
    def sparsity(self) -> float:
        """Fraction of weights removed."""
        return 1 - self._sum("kept") / self._sum("total")

    @property
    def effective_sparsity(self) -> float:
        """Fraction of weights removed or cut off from the input or the output. Never below :attr:`sparsity`."""
        return 1 - self._sum("effective_kept") / self._sum("total")

    @property
    def empty_layers(self) -> int:
        """Tensors without a single kept weight."""
        return sum(layer.kept == 0 for layer in self.layers.values())

    @property
    def disconnected(self) -> bool:
        """Whether no path from input to output is left: the network has collapsed to a constant."""
        return self._sum("effective_kept") == 0

    @property
    def macs_dense(self) -> int:
        """Multiply-accumulates of the prunable layers of the dense network."""
        return self._sum("macs_dense")

    @property
    def macs_kept(self) -> int:
        """The same of the kept weights."""
        return self._sum("macs_kept")

    @property
    def speedup(self) -> float | None:
        """Theoretical: dense over kept MACs. None where nothing is left."""
        return self.macs_dense / self.macs_kept if self.macs_kept else None

    @property
    def compression_ratio(self) -> float | None:
        """Weights over kept weights. None where nothing is left."""
        return self._sum("total") / self._sum("kept") if self._sum("kept") else None

    def _sum(self, field: str) -> int:
        return sum(getattr(layer, field) for layer in self.layers.values())


def diagnose(
    model: nn.Module,
    masks: Masks,
    batches: Sequence[Batch],
    loss: str | Loss = "cross_entropy",
    train_mode: bool = True,
) -> Diagnostics:
    """Measure ``masks`` on ``model``, at the weights it has, and ``batches``. The model is not changed."""
    problem = Problem(model, LOSSES[loss] if isinstance(loss, str) else loss, torch.Generator(), None)
    problem.batches = list(batches)
    problem.mask(masks)
    with scoring_mode(model, train_mode), torch.enable_grad():
        gradients = problem.gradients()
    alive = effective(model, masks, problem.input_shape)
    uses = positions(model, problem.input_shape)
    return Diagnostics(
        layers={name: _layer(name, mask, alive[name], uses[name]) for name, mask in masks.items()},
        gradient_norm=float(sum((g * masks[name]).double().square().sum() for name, g in gradients.items())),
        force_objective=force_objective(problem.parameters, gradients),
    )


def _layer(name: str, mask: Tensor, alive: Tensor, uses: Uses) -> Layer:
    return Layer(
        total=mask.numel(),
        kept=int(mask.count_nonzero()),
        effective_kept=int(alive.count_nonzero()),
        macs_dense=tensor_macs(name, mask, uses, torch.numel),
        macs_kept=tensor_macs(name, mask, uses, torch.count_nonzero),
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
        output = logits_of(call(model, state, ones)).sum()
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
