"""Exclusion: prunable layers that are left dense, by name."""

import difflib
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from torch import nn


def without(model: nn.Module, weights: Mapping[str, nn.Parameter], exclude: Sequence[str]) -> dict[str, nn.Parameter]:
    """The weights that no pattern of ``exclude`` names.

    A pattern names a weight if it matches the weight's own name, that of its layer, or that of a module around it:
    ``fc``, ``layer4`` (all layers in it), ``*.downsample.*``. Letters count as they are; ``*``, ``?`` and ``[…]`` are
    those of :mod:`fnmatch`.

    Raises:
        ValueError: "exclude: …": a pattern that names none, with the nearest layers; or nothing is left.
    """
    places = _places(model, weights)
    excluded = set[str]()
    for pattern in exclude:
        named = {name for name, its in places.items() if any(_matches(place, pattern) for place in its)}
        if not named:
            raise ValueError(f"exclude: {pattern!r} names no layer that could be pruned; {_hint(pattern, places)}")
        excluded |= named
    if weights and len(excluded) == len(weights):
        raise ValueError("exclude: nothing is left to prune")
    return {name: weight for name, weight in weights.items() if name not in excluded}


def _places(model: nn.Module, weights: Mapping[str, nn.Parameter]) -> dict[str, set[str]]:
    """Every name that each weight goes by: where it is shared, and in modules of two names, there are several."""
    names = {id(weight): name for name, weight in weights.items()}
    places: dict[str, set[str]] = {name: {name} for name in weights}
    for prefix, module in model.named_modules(remove_duplicate=False):
        for key, parameter in module._parameters.items():
            if id(parameter) in names:
                places[names[id(parameter)]] |= {f"{prefix}.{key}", prefix}
    return places


def _matches(place: str, pattern: str) -> bool:
    parts = place.split(".")
    around = [".".join(parts[:number]) for number in range(1, len(parts) + 1)]
    return any(name == pattern or fnmatchcase(name, pattern) for name in around)


def _hint(pattern: str, places: Mapping[str, set[str]]) -> str:
    layers = [name.rpartition(".")[0] or name for name in places]
    near = difflib.get_close_matches(pattern, dict.fromkeys(layers), n=3, cutoff=0.5)
    few = layers[:3] + (["…"] if len(layers) > 3 else [])
    return f"did you mean {' or '.join(map(repr, near))}?" if near else f"there are {', '.join(few)}"
