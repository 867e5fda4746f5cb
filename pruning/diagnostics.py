"""Measurements of a masked network beyond its sparsity: effective sparsity, gradient norm, multiply-accumulates."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pruning.arguments import Batch, Loss, pairs
from pruning.macs import Uses, macs, positions, tensor_macs
from pruning.masks import Masks, check, prunable
from pruning.modes import scoring_mode
from pruning.path_counts import effective_nodes, log_paths
from pruning.paths import effective
from pruning.problem import Problem, force_objective


@dataclass(frozen=True)
class MaskCounts:
    """Weights and multiply-accumulates (MACs, for one input) of one masked tensor."""

    total: int
    kept: int
    effective_kept: int | None  # kept weights on a path from input to output; None: unknown
    macs_dense: int
    macs_kept: int


@dataclass(frozen=True)
class Diagnostics:
    """Measurements of a pruned network, at initialization or after training.

    Attributes:
        layers: by name of the masked tensor, in the order of the network.
        gradient_norm: Σ c_i g_i(θ⊙c)², the squared norm of the gradient of the kept weights.
        force_objective: Σ c_i |θ_i g_i(θ⊙c)| (de Jorge et al. 2021, eq. 4).
        effective_nodes: output channels that a kept weight on a path from input to output leads into; None: unknown.
        log_paths: log₁₀ of the number of paths of kept weights (:mod:`pruning.path_counts`); None: unknown, or no path.
        macs_excluded: multiply-accumulates of prunable layers without a mask, which stay dense.
    """

    layers: dict[str, MaskCounts]
    gradient_norm: float
    force_objective: float
    macs_excluded: int = 0
    effective_nodes: int | None = None
    log_paths: float | None = None

    @property
    def sparsity(self) -> float:
        """Fraction of weights removed."""
        return 1 - self._sum("kept") / self._sum("total")

    @property
    def effective_kept(self) -> int | None:
        """Kept weights on a path from input to output; None if :func:`pruning.paths.effective` is None."""
        known = all(layer.effective_kept is not None for layer in self.layers.values())
        return self._sum("effective_kept") if known else None

    @property
    def effective_sparsity(self) -> float | None:
        """Fraction of weights removed or cut off from the input or the output. Never below :attr:`sparsity`.

        None if :attr:`effective_kept` is.
        """
        return None if self.effective_kept is None else 1 - self.effective_kept / self._sum("total")

    @property
    def empty_layers(self) -> int:
        """Number of tensors without a kept weight."""
        return sum(layer.kept == 0 for layer in self.layers.values())

    @property
    def disconnected(self) -> bool | None:
        """Whether no path of kept weights from input to output is left; None if :attr:`effective_kept` is."""
        return None if self.effective_kept is None else self.effective_kept == 0

    @property
    def macs_dense(self) -> int:
        """Multiply-accumulates of the dense network's prunable layers, excluded ones included."""
        return self._sum("macs_dense") + self.macs_excluded

    @property
    def macs_kept(self) -> int:
        """Multiply-accumulates of the kept weights and of excluded layers."""
        return self._sum("macs_kept") + self.macs_excluded

    @property
    def speedup(self) -> float | None:
        """Theoretical speedup: dense over kept MACs. None if no MACs are left."""
        return self.macs_dense / self.macs_kept if self.macs_kept else None

    @property
    def compression_ratio(self) -> float | None:
        """Weights over kept weights. None if no weight is kept."""
        return self._sum("total") / self._sum("kept") if self._sum("kept") else None

    def _sum(self, field: str) -> int:
        return sum(getattr(layer, field) for layer in self.layers.values())


def diagnose(
    model: nn.Module,
    masks: Masks,
    batches: Sequence[Batch],
    loss: str | Loss = "cross_entropy",
    train_mode: bool = True,
    *,
    exclude: Sequence[str] = (),
) -> Diagnostics:
    """Measure ``masks`` on ``batches`` at the model's current weights. The model is not changed.

    Args:
        exclude: the layers without a mask, as in :func:`pruning.prune`.

    Raises:
        ValueError: bad arguments; masks that belong to another network or do not cover all prunable weights.
    """
    problem = Problem(model, loss, torch.Generator(), None, names=prunable(model, exclude))
    check(problem.dense, masks)
    if missing := [name for name in problem.dense if name not in masks]:
        raise ValueError(f"no mask for {missing[0]}: these masks belong to another network")
    problem.batches = pairs(batches, problem.device)
    problem.mask(masks)
    with scoring_mode(model, train_mode), torch.enable_grad():
        gradients = problem.gradients()
    alive = effective(model, masks, problem.input_shape)
    uses, weights = positions(model, problem.input_shape), prunable(model)
    return Diagnostics(
        layers={
            name: _layer(name, mask, None if alive is None else alive[name], uses[name]) for name, mask in masks.items()
        },
        gradient_norm=float(sum((g * masks[name]).double().square().sum() for name, g in gradients.items())),
        force_objective=float(force_objective(problem.parameters, gradients)),
        effective_nodes=None if alive is None else effective_nodes(model, alive),
        log_paths=log_paths(model, masks, problem.input_shape),
        macs_excluded=macs({n: w for n, w in weights.items() if n not in masks}, uses, torch.numel),
    )


def _layer(name: str, mask: Tensor, alive: Tensor | None, uses: Uses) -> MaskCounts:
    return MaskCounts(
        total=mask.numel(),
        kept=int(mask.count_nonzero()),
        effective_kept=None if alive is None else int(alive.count_nonzero()),
        macs_dense=tensor_macs(name, mask, uses, torch.numel),
        macs_kept=tensor_macs(name, mask, uses, torch.count_nonzero),
    )
