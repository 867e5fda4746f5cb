"""How much of a network pruning can reach at all."""

from collections.abc import Sequence

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from pruning.masks import prunable

ALMOST_ALL = 0.99  # of the weights; below it, users are warned
_NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
_NAMED = 3


def not_prunable(model: nn.Module) -> dict[str, int]:
    """How many weights each parameter has that is never pruned, by its name.

    Weights are the elements of parameters that span two dimensions or more: those of recurrent layers, embeddings (of
    positions, too), ``nn.Bilinear``, and any that a network makes itself. Biases, normalisation layers, and vectors
    such as a class token are none.
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
    """Prunable weights over all weights (see :func:`not_prunable`), in [0, 1]. Sparsity is a fraction of the former.

    Args:
        exclude: layers that are left dense on request, as in :func:`pruning.masks.prunable`.
    """
    weights, left = (sum(p.numel() for p in prunable(model, names).values()) for names in ((), exclude))
    return left / max(1, weights + sum(not_prunable(model).values()))


def share_remark(model: nn.Module) -> str | None:
    """What to tell a user of a network of whose weights less than :data:`ALMOST_ALL` can be pruned; None: of no other.

    It names the largest parameters that stay dense.
    """
    share = prunable_share(model)
    if share >= ALMOST_ALL:
        return None
    dense = sorted(not_prunable(model).items(), key=lambda item: -item[1])
    names = ", ".join(f"{name} ({number:,})" for name, number in dense[:_NAMED])
    more = f" and {len(dense) - _NAMED} more" if len(dense) > _NAMED else ""
    return (
        f"only {100 * share:.3g} % of this network's weights can be pruned, and its sparsity is of these; always dense"
        f" are {names}{more}"
    )
