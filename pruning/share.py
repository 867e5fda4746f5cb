"""Which share of a network's weights is prunable."""

from collections.abc import Sequence

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from pruning.masks import prunable

ALMOST_ALL = 0.99  # share of the weights below which users are warned
_NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
_NAMED = 3


def not_prunable(model: nn.Module) -> dict[str, int]:
    """Number of weights of each parameter that is never pruned, by name.

    Weights are the elements of parameters that span two dimensions or more: those of recurrent layers, embeddings (of
    positions too), ``nn.Bilinear``, and parameters that a network defines itself. Biases, parameters of normalisation
    layers, and vectors such as a class token are not counted as weights.
    """
    weights = {id(parameter) for parameter in prunable(model).values()}
    norms = {id(p) for module in model.modules() if isinstance(module, _NORMS) for p in module.parameters()}
    return {
        name: parameter.numel()
        for name, parameter in model.named_parameters()
        if id(parameter) not in weights | norms
        and sum(size > 1 for size in parameter.shape) > 1
        and not name.rpartition(".")[2].startswith("bias")
    }


def prunable_share(model: nn.Module, exclude: Sequence[str] = ()) -> float:
    """Prunable weights over all weights, in [0, 1]; see :func:`not_prunable`. Sparsity is a fraction of the former.

    Args:
        exclude: layers that stay dense on request, as in :func:`pruning.masks.prunable`.
    """
    weights, left = (sum(p.numel() for p in prunable(model, names).values()) for names in ((), exclude))
    return left / max(1, weights + sum(not_prunable(model).values()))


def share_remark(model: nn.Module) -> str | None:
    """A warning that names the largest parameters that stay dense; None if the share is :data:`ALMOST_ALL` or more."""
    share = prunable_share(model)
    if share >= ALMOST_ALL:
        return None
    dense = sorted(not_prunable(model).items(), key=lambda item: -item[1])
    names = ", ".join(f"{name} ({number:,})" for name, number in dense[:_NAMED])
    more = f" and {len(dense) - _NAMED} more" if len(dense) > _NAMED else ""
    return (
        f"only {100 * share:.3g} % of this network's weights can be pruned, and its sparsity is a fraction of these;"
        f" always dense: {names}{more}"
    )
