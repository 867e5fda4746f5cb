"""Exclusion: prunable layers that stay dense, selected by name."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from torch import nn


def without(model: nn.Module, weights: Mapping[str, nn.Parameter], exclude: Sequence[str]) -> dict[str, nn.Parameter]:
    """The weights that no pattern of ``exclude`` matches.

    A pattern matches a weight if it fits the weight's own name, that of its layer, or that of a module around it:
    ``fc``, ``layer4`` (all layers in it), ``*.downsample.*``. Patterns are case-sensitive; ``*``, ``?`` and
    ``[…]`` work as in :mod:`fnmatch`.

    Raises:
        ValueError: "exclude: …": a pattern matches no weight (the message suggests similar names), or all are excluded.
    """
    aliases = _aliases(model, weights)
    excluded = set[str]()
    for pattern in exclude:
        matched = {weight for weight, names in aliases.items() if any(_matches(name, pattern) for name in names)}
        if not matched:
            raise ValueError(f"exclude: {pattern!r} matches no prunable layer; {_hint(pattern, aliases)}")
        excluded |= matched
    if weights and len(excluded) == len(weights):
        raise ValueError("exclude: nothing is left to prune")
    return {name: weight for name, weight in weights.items() if name not in excluded}


def _aliases(model: nn.Module, weights: Mapping[str, nn.Parameter]) -> dict[str, set[str]]:
    """All names of each weight and of its layers: several if the weight or a module around it is shared."""
    names = {id(weight): name for name, weight in weights.items()}
    aliases: dict[str, set[str]] = {name: {name} for name in weights}
    for prefix, module in model.named_modules(remove_duplicate=False):
        for key, parameter in module._parameters.items():
            if id(parameter) in names:
                aliases[names[id(parameter)]] |= {f"{prefix}.{key}", prefix}
    return aliases


def _matches(name: str, pattern: str) -> bool:
    """Whether a pattern fits a weight's name or that of a module around it."""
    parts = name.split(".")
    prefixes = [".".join(parts[:number]) for number in range(1, len(parts) + 1)]
    return any(prefix == pattern or fnmatchcase(prefix, pattern) for prefix in prefixes)


def _hint(pattern: str, weights: Iterable[str]) -> str:
    layers = [name.rpartition(".")[0] or name for name in weights]
    near = difflib.get_close_matches(pattern, dict.fromkeys(layers), n=3, cutoff=0.5)
    few = layers[:3] + (["…"] if len(layers) > 3 else [])
    return f"did you mean {' or '.join(map(repr, near))}?" if near else f"there are {', '.join(few)}"
