"""Masks: which weights are kept. Exact selection, application, comparison.

``Masks = dict[parameter name, bool tensor of the parameter's shape]``, True = kept. Keys are the names of
``model.named_parameters()``, so masks survive pickling, checkpoints and other people's tools.
"""

import functools
import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from pruning.exclusion import without
from pruning.standardising import fills_zeros
from pruning.threshold import Threshold, kth_highest
from pruning.wrappers import refuse_wrapped

Masks = dict[str, Tensor]
Scores = dict[str, Tensor]


class HasMasks(Protocol):
    """What comes with masks: a :class:`pruning.Pruned`, a :class:`pruning.Masking`, a :class:`pruning.Compaction`."""

    @property
    def masks(self) -> Masks:
        """By parameter name."""


class MaskedLayer(NamedTuple):
    """One masked tensor: its name, its shape, how many of its weights are kept, and which fraction of them."""

    name: str
    shape: tuple[int, ...]
    kept: int
    density: float


TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
PRUNABLE_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, *TRANSPOSED)


PROJECTIONS = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")  # of nn.MultiheadAttention


def prunable(model: nn.Module, exclude: Sequence[str] = ()) -> dict[str, nn.Parameter]:
    """The weights that pruning may remove: of every convolution and linear layer, classifier and shortcuts included.

    And the projections of ``nn.MultiheadAttention``: query, key and value are three matrices in one parameter,
    ``in_proj_weight`` (see :func:`matrices`), or three parameters where their inputs differ in width. Biases and
    normalisation layers are never pruned, nor are recurrent layers, embeddings and ``nn.Bilinear``: see
    :func:`pruning.share.not_prunable`. A weight shared by two layers appears once.

    Args:
        exclude: names of layers that are left out, or patterns of them: see :func:`pruning.exclusion.without`.

    Raises:
        ValueError: a layer whose weight is computed from others (``weight_norm``, parametrizations), or that computes
            with something made of it that is not zero where it is (weight standardisation); a module that is wrapped
            (``nn.DataParallel``), compiled (``torch.jit``) or not run yet (lazy); a name of ``exclude`` that no layer
            has.
    """
    refuse_wrapped(model)
    names = {id(parameter): name for name, parameter in reversed(list(model.named_parameters()))}
    found: dict[str, nn.Parameter] = {}
    for prefix, module in model.named_modules():
        for weight in _weights(module):
            if id(weight) not in names or not isinstance(weight, nn.Parameter):
                raise ValueError(
                    f"the weight of {prefix or 'the model'} is not a parameter of its own; unwrap it first"
                )
            found.setdefault(names[id(weight)], weight)
        if isinstance(module, PRUNABLE_LAYERS) and fills_zeros(module):
            raise ValueError(
                f"{prefix or 'the model'} ({type(module).__name__}) computes with something made of its weight that is"
                " not zero where the weight is, as weight standardisation does: removing weights would remove nothing;"
                " use a layer that computes with its weight itself"
            )
    return without(model, found, exclude) if exclude else found


def _weights(module: nn.Module) -> list[Tensor]:
    if isinstance(module, PRUNABLE_LAYERS):
        return [module.weight]
    if isinstance(module, nn.MultiheadAttention):
        return [weight for name in PROJECTIONS if (weight := getattr(module, name, None)) is not None]
    return []


def matrices(name: str, tensor: Tensor) -> tuple[Tensor, ...]:
    """What a rule by layer sees of a parameter, its mask or its scores: mostly the tensor.

    Of attention's ``in_proj_weight`` the three matrices in it, of query, key and value: views along dimension 0.
    """
    return tensor.chunk(3) if name.rpartition(".")[2] == PROJECTIONS[0] else (tensor,)


def split(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors with every matrix by a name of its own; undone by :func:`joined`."""
    return {
        f"{name}[{number}]" if len(parts) > 1 else name: part
        for name, tensor in tensors.items()
        for parts in [matrices(name, tensor)]
        for number, part in enumerate(parts)
    }


def joined(masks: Masks, like: Mapping[str, Tensor]) -> Masks:
    """Masks of the matrices that :func:`split` makes of ``like``, as masks of its tensors."""
    parts = iter(masks.values())
    found = {name: [next(parts) for _ in matrices(name, tensor)] for name, tensor in like.items()}
    return {name: torch.cat(masks) if len(masks) > 1 else masks[0] for name, masks in found.items()}


def kept_count(total: int, sparsity: float) -> int:
    """Weights that remain of ``total`` at ``sparsity``: total − round(sparsity·total), to the weight."""
    return total - round(sparsity * total)


def keep_highest(scores: Scores, kept: int, among: Masks | None = None) -> Masks:
    """The masks of exactly ``kept`` weights with the highest scores over all tensors together.

    Ties are broken by index: the weight that comes first in its tensor, and the tensor that comes first in
    ``scores``, is kept. Weights outside ``among`` (None: there are none outside) are never kept, whatever they score.

    Raises:
        ValueError: a score is NaN, or ``kept`` is more than there are candidates.
    """
    check_numbers(scores)
    return cut(scores, kept, among)[0]


def cut(scores: Scores, kept: int, among: Masks | None = None) -> tuple[Masks, Threshold | None]:
    """The masks of :func:`keep_highest`, and the threshold that they are cut at; None where nothing is kept.

    No score may be NaN.
    """
    total = sum(score.numel() for score in scores.values())
    candidates = total if among is None else count({name: among[name] for name in scores})
    if not 0 <= kept <= candidates:
        raise ValueError(f"cannot keep {kept} weights: {candidates} are candidates")
    if kept == 0:
        return {name: torch.zeros_like(score, dtype=torch.bool) for name, score in scores.items()}, None
    values = _of_one_type({name: score.detach() for name, score in scores.items()})
    some = None if among is None or candidates == total else [among[name] for name in values]
    found = kth_highest(list(values.values()), some, kept)
    every_tie = kept - found.above == found.at
    masks = {name: score >= found.value if every_tie else score > found.value for name, score in values.items()}
    if some is not None:
        for mask, candidate in zip(masks.values(), some, strict=True):
            mask &= candidate
    if not every_tie:
        _add_ties(masks, values, found.value, among, kept - found.above)
    return masks, found


def keep_highest_per_layer(scores: Scores, kept: Mapping[str, int], among: Masks) -> Masks:
    """Like :func:`keep_highest`, but with a count of its own for every tensor."""
    check_numbers(scores)
    return cut_per_layer(scores, kept, among)[0]


def cut_per_layer(scores: Scores, kept: Mapping[str, int], among: Masks) -> tuple[Masks, dict[str, Threshold | None]]:
    """The masks of :func:`keep_highest_per_layer`, and the threshold of every tensor."""
    masks, thresholds = dict[str, Tensor](), dict[str, Threshold | None]()
    for name, score in scores.items():
        mask, thresholds[name] = cut({name: score}, kept[name], {name: among[name]})
        masks |= mask
    return masks, thresholds


def _add_ties(masks: Masks, scores: Scores, value: Tensor, among: Masks | None, room: int) -> None:
    """Keep the first ``room`` of the weights that score ``value``, in row-major order whatever the order in memory."""
    for name, score in scores.items():
        if room == 0:
            return
        tied = score == value if among is None else (score == value) & among[name]
        first = tied.reshape(-1).nonzero().squeeze(1)[:room]
        masks[name][torch.unravel_index(first, tied.shape)] = True
        room -= len(first)


def check_numbers(scores: Scores) -> None:
    """Make sure that no score is NaN.

    Raises:
        ValueError: naming the tensor.
    """
    for name, score in scores.items():
        # one NaN makes the sum NaN, and so may infinities: only then is it worth a closer look
        if score.sum().isnan() and score.isnan().any():
            raise ValueError(f"the scores of {name} are not numbers (NaN): the loss or its gradient overflowed")


def _of_one_type(scores: Scores) -> Scores:
    types = {score.dtype for score in scores.values()}
    if len(types) == 1:
        return scores
    widest = functools.reduce(torch.promote_types, types)
    return {name: score.to(widest) for name, score in scores.items()}


def full(tensors: Mapping[str, Tensor]) -> Masks:
    """Masks that keep everything."""
    return {name: torch.ones_like(tensor, dtype=torch.bool) for name, tensor in tensors.items()}


def count(masks: Masks) -> int:
    """Weights kept."""
    return int(sum(int(mask.count_nonzero()) for mask in masks.values()))


def sparsity(masks: Masks) -> float:
    """Fraction of weights removed, over all masked tensors together."""
    return 1 - count(masks) / sum(mask.numel() for mask in masks.values())


def layers(masks: Masks) -> list[MaskedLayer]:
    """One row for each masked tensor, in the order of ``masks``."""
    kept = {name: int(mask.count_nonzero()) for name, mask in masks.items()}
    return [MaskedLayer(name, tuple(mask.shape), kept[name], kept[name] / mask.numel()) for name, mask in masks.items()]


def masks_of(masks: Masks | HasMasks) -> Masks:
    """The masks themselves, or those of a :class:`pruning.Pruned`.

    Raises:
        ValueError: neither.
    """
    found = masks if isinstance(masks, Mapping) else getattr(masks, "masks", None)
    if not isinstance(found, Mapping):
        raise ValueError(
            f"masks: a dict of bool tensors by parameter name, or what pruning.prune returns, not {masks!r}"
        )
    return dict(found)


def digest(mask: Tensor) -> str:
    """sha256 (hex) of one mask: its shape and its bits in row-major order. Equal for equal masks on any device."""
    shape = ",".join(map(str, mask.shape)).encode()
    return hashlib.sha256(shape + b"\0" + mask.detach().cpu().contiguous().numpy().tobytes()).hexdigest()


def check(parameters: Mapping[str, Tensor], masks: Masks) -> None:
    """Make sure that masks are bool tensors in the shapes of the parameters that they name.

    Raises:
        ValueError: naming the parameter: the masks belong to another network, or are none.
    """
    for name, mask in masks.items():
        if name not in parameters:
            raise ValueError(f"the model has no parameter {name!r}: these masks belong to another network")
        if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
            kind = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
            raise ValueError(f"the mask of {name} must be a tensor of bool, not {kind}: True keeps a weight")
        if mask.shape != parameters[name].shape:
            raise ValueError(
                f"the mask of {name} has the shape {list(mask.shape)} and the parameter {list(parameters[name].shape)}:"
                " these masks belong to another network"
            )
        if mask.device != parameters[name].device:
            raise ValueError(
                f"the mask of {name} is on {mask.device} and the parameter on {parameters[name].device}: move the"
                " masks, {name: mask.to(device) for name, mask in masks.items()}"
            )


@torch.no_grad()
def apply(model: nn.Module, masks: Masks | HasMasks) -> None:
    """Set every removed weight of ``model`` to zero, in place.

    Call it after each optimizer step, or train inside :func:`pruning.held`.

    Args:
        masks: by parameter name, or what has them: the result of :func:`pruning.prune`.

    Raises:
        ValueError: the masks belong to another network; nothing has been written.
    """
    parameters, masks = dict(model.named_parameters()), masks_of(masks)
    check(parameters, masks)
    torch._foreach_mul_([parameters[name] for name in masks], list(masks.values()))
