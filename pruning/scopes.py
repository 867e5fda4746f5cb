"""Scopes: where the threshold lies, one over all layers or a count for every layer.

``global``        one threshold over all layers: the scores alone decide (a ``floor`` may reserve a share a layer);
``layerwise``     the same density in every layer;
``erk``           density of a layer ∝ (n_in + n_out + k_h + k_w) / (n_in·n_out·k_h·k_w): the Erdős–Rényi kernel of
                  Evci et al. (2020);
``uniform_plus``  the first layer dense, the classifier (the last linear layer) at least 20 % dense, the same density in
                  all others: the rule of Gale, Elsen & Hooker (2019, "The State of Sparsity in Deep Neural
                  Networks"), which others call uniform+.

Layers come in the order of the model's modules; query, key and value of attention are three layers. Whatever the scope,
the weights kept are as many as asked for, over all layers together.
"""

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from pruning.masks import Masks, Scores, check_numbers, cut, cut_per_layer, full, joined, split
from pruning.threshold import Threshold, Ties, tied

SCOPES = ("global", "layerwise", "erk", "uniform_plus")
CLASSIFIER_DENSITY = 0.2  # the least of uniform+


def check(scope: str, floor: float) -> None:
    """Make sure that a floor can be held.

    Raises:
        ValueError: "floor: what is wrong", for one outside [0, 1] or beside a scope that fixes every layer's count.
    """
    if not 0 <= floor <= 1:
        raise ValueError(f"floor: a share of the network's density, in [0, 1], not {floor}")
    if floor and scope != "global":
        raise ValueError(f"floor: scope {scope} fixes how many weights each layer keeps; leave floor or scope out")


class Selection(NamedTuple):
    """Masks, and how many of their weights were chosen by index among equal scores."""

    masks: Masks
    ties: Ties


def select(scores: Scores, kept: int, among: Masks | None, scope: str, floor: float = 0.0) -> Masks:
    """The masks of exactly ``kept`` weights, the highest scores that ``scope`` and ``floor`` allow.

    Args:
        scores: by tensor; higher = keep. Ties are broken by index, see :func:`pruning.masks.keep_highest`.
        kept: weights to keep in all.
        among: the weights that may be kept; None: all.
        scope: a name of :data:`SCOPES`.
        floor: the least density of any layer, as a share of the network's density; see :func:`reserved`.
    """
    check_numbers(scores)
    return selection(scores, kept, among, scope, floor).masks


def selection(scores: Scores, kept: int, among: Masks | None, scope: str, floor: float = 0.0) -> Selection:
    """As :func:`select`, with the ties at the threshold, or at those of all layers together. No score may be NaN."""
    if scope == "global" and not floor:
        masks, threshold = cut(scores, kept, among)
        return Selection(masks, tied({"": threshold}, {"": kept}))
    among = full(scores) if among is None else among
    masks, ties = _by_layer(split(scores), kept, split({name: among[name] for name in scores}), scope, floor)
    return Selection(joined(masks, scores), ties)


def _by_layer(scores: Scores, kept: int, among: Masks, scope: str, floor: float) -> Selection:
    if scope != "global":
        counts = layer_counts(among, kept, scope)
        masks, thresholds = cut_per_layer(scores, counts, among)
        return Selection(masks, tied(thresholds, counts))
    counts = reserved(among, kept, floor)
    safe, own = cut_per_layer(scores, counts, among)
    left = kept - sum(counts.values())
    rest, common = cut(scores, left, {name: mask & ~safe[name] for name, mask in among.items()})
    ties = tied({"": common}, {"": left})
    for name, threshold in own.items():
        ties = ties.plus(_ties_beyond(threshold, counts[name], common, left))
    return Selection({name: mask | rest[name] for name, mask in safe.items()}, ties)


def _ties_beyond(own: Threshold | None, kept: int, common: Threshold | None, left: int) -> Ties:
    """What is still tied in a layer's reserve of ``kept`` weights once ``left`` others are kept of all layers."""
    if own is None:
        return Ties()
    ties = own.ties(kept)
    if common is None or own.value < common.value:
        return ties
    if own.value == common.value and common.ties(left).candidates:
        return Ties(ties.kept, ties.kept)  # the others that tie with them are candidates of the common threshold
    return Ties()


def reserved(available: Mapping[str, Tensor], kept: int, floor: float) -> dict[str, int]:
    """Weights that a floor reserves in each tensor for its own highest scores, before layers compete.

    The share ``floor`` of what the scope "layerwise" would keep of the whole tensor, to the nearest weight: nothing at
    0, all at 1, where the masks are those of "layerwise". Never of what earlier rounds have left of it, which would
    shrink the share with every round; but no more than they have left. One weight at least in every tensor that has
    any left, if ``kept`` allows that many; where all reserves together would then pass ``kept``, the largest give way.
    """
    sizes = {name: mask.numel() for name, mask in available.items()}
    room = {name: int(mask.count_nonzero()) for name, mask in available.items()}
    even = _whole(_capped(dict.fromkeys(sizes, 1.0), sizes, kept), sizes, kept)
    least = 1 if floor and sum(left > 0 for left in room.values()) <= kept else 0
    counts = {name: min(max(least, round(floor * share)), room[name]) for name, share in even.items()}
    for _ in range(sum(counts.values()) - kept):
        counts[max(counts, key=lambda name: counts[name])] -= 1
    return counts


def layer_counts(available: Mapping[str, Tensor], kept: int, scope: str) -> dict[str, int]:
    """Weights to keep in each tensor, ``kept`` in all, for the scopes that fix it beforehand.

    Args:
        available: the mask so far by name, in the order of the network; a layer keeps no more than what is still
            there, and what it cannot take goes to the others.
        kept: weights to keep in all.
        scope: "layerwise", "erk" or "uniform_plus".
    """
    sizes = {name: mask.numel() for name, mask in available.items()}
    room = {name: int(mask.count_nonzero()) for name, mask in available.items()}
    if scope == "uniform_plus":
        return _whole(_uniform_plus(available, sizes, kept), room, kept)
    weights = {
        name: 1.0 if scope == "layerwise" else sum(mask.shape) / mask.numel() for name, mask in available.items()
    }
    return _whole(_capped(weights, sizes, kept), room, kept)


def _uniform_plus(available: Mapping[str, Tensor], sizes: Mapping[str, int], kept: int) -> dict[str, float]:
    """Counts of uniform+, as far as the budget goes.

    The others pay for the first layer and the classifier, but at most half of the network's density d. Where that is
    not enough, first layer and classifier both stop at the same share of the way from d to 1 and to 0.2: at the
    highest sparsities uniform+ is no error, and no layer's density is below d/2. (With two layers, the classifier is
    the others.)
    """
    first, *others = sizes
    density, rest = kept / sum(sizes.values()), sum(sizes[name] for name in others)
    wanted = {first: 1.0}
    linear = [name for name in others if available[name].dim() == 2]
    if linear and len(others) > 1 and kept - sizes[first] < CLASSIFIER_DENSITY * rest:
        wanted[linear[-1]] = CLASSIFIER_DENSITY
        rest -= sizes[linear[-1]]
    cost = sum((target - density) * sizes[name] for name, target in wanted.items())
    paid = min(1.0, density / 2 * rest / cost) if cost > 0 else 1.0
    counts = {name: sizes[name] * (density + paid * (target - density)) for name, target in wanted.items()}
    left = (kept - sum(counts.values())) / max(1, rest)
    return {name: counts.get(name, left * size) for name, size in sizes.items()}


def _capped(weights: Mapping[str, float], sizes: Mapping[str, int], kept: int) -> dict[str, float]:
    """Counts ∝ weight·size; layers that would pass density 1 become dense and the rest is solved again."""
    dense: set[str] = set()
    while True:
        others = [name for name in sizes if name not in dense]
        left = kept - sum(sizes[name] for name in dense)
        scale = left / sum(weights[name] * sizes[name] for name in others) if others else 0.0
        over = {name for name in others if scale * weights[name] > 1}
        if not over:
            return {name: size * (1.0 if name in dense else scale * weights[name]) for name, size in sizes.items()}
        dense |= over


def _whole(shares: Mapping[str, float], room: Mapping[str, int], total: int) -> dict[str, int]:
    """Largest remainders: whole numbers next to ``shares`` that add up to ``total``, none above its ``room``."""
    counts = {name: min(int(share), room[name]) for name, share in shares.items()}
    by_remainder = sorted(shares, key=lambda name: counts[name] - shares[name])
    while (missing := total - sum(counts.values())) > 0:
        for name in [name for name in by_remainder if counts[name] < room[name]][:missing]:
            counts[name] += 1
    return counts
