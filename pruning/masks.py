"""Masks: which weights are kept. Exact selection, application, comparison.

``Masks = dict[parameter name, bool tensor of the parameter's shape]``, True = kept. Keys are the names of
``model.named_parameters()``, so masks survive pickling, checkpoints and other people's tools.
"""

import hashlib
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

Masks = dict[str, Tensor]
Scores = dict[str, Tensor]

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
PRUNABLE_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, *TRANSPOSED)


def prunable(model: nn.Module) -> dict[str, nn.Parameter]:
    """The weights that pruning may remove: of every convolution and linear layer, classifier and shortcuts included.

    Biases and normalisation layers are never pruned. A weight shared by two layers appears once.

    Raises:
        ValueError: a layer whose weight is computed from others (``weight_norm``, parametrizations).
    """
    names = {id(parameter): name for name, parameter in reversed(list(model.named_parameters()))}
    found: dict[str, nn.Parameter] = {}
    for prefix, module in model.named_modules():
        if isinstance(module, PRUNABLE_LAYERS):
            weight = module.weight
            if id(weight) not in names or not isinstance(weight, nn.Parameter):
                raise ValueError(
                    f"the weight of {prefix or 'the model'} is not a parameter of its own; unwrap it first"
                )
            found.setdefault(names[id(weight)], weight)
    return found


def kept_count(total: int, sparsity: float) -> int:
    """Weights that remain of ``total`` at ``sparsity``: total − round(sparsity·total), to the weight."""
    return total - round(sparsity * total)


def keep_highest(scores: Scores, kept: int, among: Masks) -> Masks:
    """The masks of exactly ``kept`` weights with the highest scores over all tensors together.

    Ties are broken by index: the weight that comes first in its tensor, and the tensor that comes first in
    ``scores``, is kept. Weights outside ``among`` are never kept, whatever they score.

    Raises:
        ValueError: a score is NaN, or ``kept`` is more than there are candidates.
    """
    flat = torch.cat([score.detach().reshape(-1) for score in scores.values()])
    if flat.isnan().any():
        culprit = next(name for name, score in scores.items() if score.isnan().any())
        raise ValueError(f"the scores of {culprit} are not numbers (NaN): the loss or its gradient overflowed")
    candidates = torch.cat([among[name].reshape(-1) for name in scores])
    if candidates.all():
        return _unflatten(_highest(flat, kept), scores)
    chosen = torch.zeros_like(candidates)
    chosen[candidates] = _highest(flat[candidates], kept)
    return _unflatten(chosen, scores)


def keep_highest_per_layer(scores: Scores, kept: Mapping[str, int], among: Masks) -> Masks:
    """Like :func:`keep_highest`, but with a count of its own for every tensor."""
    masks: Masks = {}
    for name, score in scores.items():
        masks |= keep_highest({name: score}, kept[name], {name: among[name]})
    return masks


def _highest(values: Tensor, kept: int) -> Tensor:
    """Boolean vector with exactly ``kept`` True: all above the kept-th highest value, then its ties in order."""
    if not 0 <= kept <= values.numel():
        raise ValueError(f"cannot keep {kept} weights: {values.numel()} are candidates")
    if kept == 0:
        return torch.zeros_like(values, dtype=torch.bool)
    threshold = _smallest(values, values.numel() - kept)
    chosen = values > threshold
    ties = (values == threshold).nonzero().squeeze(1)
    chosen[ties[: kept - int(chosen.count_nonzero())]] = True
    return chosen


def _smallest(values: Tensor, rank: int) -> Tensor:
    """The value that ``rank`` others come before in rising order. By partition, not by sorting."""
    if values.device.type == "cpu":  # numpy's introselect is several times faster than torch's
        return torch.from_numpy(np.partition(values.numpy(), rank))[rank]
    return values.kthvalue(rank + 1).values


def _unflatten(flat: Tensor, like: Mapping[str, Tensor]) -> Masks:
    pieces = flat.split([tensor.numel() for tensor in like.values()])
    return {name: piece.reshape(tensor.shape) for (name, tensor), piece in zip(like.items(), pieces, strict=True)}


def full(tensors: Mapping[str, Tensor]) -> Masks:
    """Masks that keep everything."""
    return {name: torch.ones_like(tensor, dtype=torch.bool) for name, tensor in tensors.items()}


def count(masks: Masks) -> int:
    """Weights kept."""
    return int(sum(int(mask.count_nonzero()) for mask in masks.values()))


def sparsity(masks: Masks) -> float:
    """Fraction of weights removed, over all masked tensors together."""
    return 1 - count(masks) / sum(mask.numel() for mask in masks.values())


def digest(mask: Tensor) -> str:
    """sha256 (hex) of one mask: its shape and its bits in row-major order. Equal for equal masks on any device."""
    shape = ",".join(map(str, mask.shape)).encode()
    return hashlib.sha256(shape + b"\0" + mask.detach().cpu().contiguous().numpy().tobytes()).hexdigest()


@torch.no_grad()
def apply(model: nn.Module, masks: Masks) -> None:
    """Set every removed weight of ``model`` to zero, in place. Call it after each optimizer step."""
    parameters = dict(model.named_parameters())
    missing = [name for name in masks if name not in parameters]
    if missing:
        raise ValueError(f"the model has no parameter {missing[0]!r}: these masks belong to another network")
    torch._foreach_mul_([parameters[name] for name in masks], list(masks.values()))
