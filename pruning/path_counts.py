"""How many nodes and paths of a masked network lead from input to output.

A node is an output channel of a masked layer. It is effective if an effective weight (:mod:`pruning.paths`) leads into
it. Vysogorets & Kempe 2023 ("Connectivity matters") count effective weights alike; Patil & Dovrolis 2021 (PHEW) and
Gebhart et al. 2021 count paths.
"""

import logging
import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvTransposeNd

from pruning.functional import call
from pruning.masks import Masks
from pruning.modes import scoring_mode
from pruning.named_tensors import named_tensors
from pruning.outputs import logits_of

logger = logging.getLogger(__name__)
_PROPORTIONAL = 1e-9  # relative error up to which outputs count as proportional to inputs


def effective_nodes(model: nn.Module, alive: Masks) -> int:
    """The number of effective nodes.

    Args:
        model: of the masks.
        alive: effective weights by parameter name, of :func:`pruning.paths.effective`.
    """
    return sum(_nodes(model.get_submodule(name.rpartition(".")[0]), mask) for name, mask in alive.items())


def _nodes(layer: nn.Module, alive: Tensor) -> int:
    if isinstance(layer, _ConvTransposeNd):  # inputs × (outputs of a group) × …
        groups = alive.reshape(layer.groups, -1, alive.shape[1], *alive.shape[2:]).flatten(3)
        return int(groups.any(dim=3).any(dim=1).count_nonzero())
    return int(alive.flatten(1).any(dim=1).count_nonzero())


def log_paths(model: nn.Module, masks: Masks, input_shape: Sequence[int]) -> float | None:
    """log₁₀ of the number of paths of kept weights from the elements of the input to those of the output.

    It is the output's sum for an input of ones, where kept weights are 1, biases 0 and normalisations pass what they
    get: SynFlow's R (Tanaka et al. 2020) of weights of size 1, in float64. An average over positions therefore counts
    the average of their paths, and a maximum the largest.

    Args:
        model: is not changed.
        masks: by parameter name; prunable weights without a mask count as kept.
        input_shape: of one input, without the batch.

    Returns:
        None if no path is left, if the network does not run in float64, or if outputs are not proportional to inputs,
        as after a softmax or a LayerNorm.
    """
    like = next(model.parameters())
    ones = torch.ones(1, *input_shape, dtype=torch.float64, device=like.device)
    with scoring_mode(model, train=False), torch.no_grad():
        try:
            outputs = logits_of(call(model, _of_ones(model, masks), torch.cat([ones, 2 * ones])))
        except Exception as error:  # a network of the user's own may raise anything for float64 or for a batch of two
            logger.debug("the number of paths is unknown: %s", error)
            return None
    once, twice = outputs.flatten(1).sum(dim=1).tolist()
    if not (0 < once < math.inf and abs(twice - 2 * once) <= _PROPORTIONAL * twice):
        return None
    return math.log10(once)


def _of_ones(model: nn.Module, masks: Masks) -> Mapping[str, Tensor]:
    """All tensors of the model as if every kept weight were 1."""
    state = {
        name: _like_one(name, tensor) if tensor.is_floating_point() else tensor
        for name, tensor in named_tensors(model).items()
    }
    for path, module in model.named_modules():
        name = f"{path}.running_var" if path else "running_var"
        if isinstance(module, _BatchNorm) and name in state:
            state[name] = torch.full_like(state[name], 1 - module.eps)  # it adds eps before the root
    return state | {name: mask.double() for name, mask in masks.items()}


def _like_one(name: str, tensor: Tensor) -> Tensor:
    is_shift = name.rpartition(".")[2] in ("bias", "running_mean")
    return (torch.zeros_like if is_shift else torch.ones_like)(tensor.detach(), dtype=torch.float64)
