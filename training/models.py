"""Name to network: torchvision's with a small-image stem, the papers' VGGs, or your own as "package:factory".

The networks are in resnets.py and vggs.py, their initial weights in initialise.py.
"""

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from training import resnets, vggs
from training.initialise import initialise
from training.suggest import suggest

Factory = Callable[..., nn.Module]

ARCHITECTURES: dict[str, Factory] = {
    factory.__name__: factory
    for factory in (
        resnets.resnet18,
        resnets.resnet34,
        resnets.resnet50,
        vggs.vgg11,
        vggs.vgg16,
        vggs.vgg19,
        resnets.resnet20,
        resnets.resnet32,
        resnets.resnet56,
        resnets.wide_resnet32,
        vggs.vgg_digits,
        resnets.imagenet_resnet50,
        vggs.imagenet_vgg19,
    )
}
_MOST, _MOST_OTHERWISE = {"depth": 1000}, 10_000  # deeper takes minutes to build, wider fits into no machine
_FROM_DATA = ("classes", "channels", "size")  # what a factory is told of the images, where it takes it


def names() -> list[str]:
    """The shipped architectures."""
    return list(ARCHITECTURES)


def describe(name: str) -> str:
    """One line on an architecture: the first of its factory's docstring."""
    return (inspect.getdoc(_factory(name)) or "").partition("\n")[0]


def check(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """An architecture's options with its defaults filled in.

    Raises:
        ValueError: an unknown architecture or option, with the nearest known ones; a factory of your own that
            cannot be imported or called; a value of the wrong kind.
    """
    parameters = _options(_factory(name))
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    known = {key: p for key, p in parameters.items() if p.kind is not p.VAR_KEYWORD}
    for option in options:
        if option in _FROM_DATA:
            raise ValueError(f"{option}: an architecture is told of it by the data; leave it out")
        if option not in known and not open_ended:
            has = f"it has: {', '.join(known)}" if known else "it has none"
            raise ValueError(f"{option}: architecture {name} has no option {option!r}; {has}")
    missing = [key for key, p in known.items() if p.default is p.empty and key not in options]
    if missing:
        raise ValueError(f"{missing[0]}: architecture {name} needs the option {missing[0]!r}")
    preset = {key: parameter.default for key, parameter in known.items()}
    resolved = {**preset, **options}
    if name in ARCHITECTURES:
        return {key: _positive(name, key, value, known[key].annotation) for key, value in resolved.items()}
    return {key: float(v) if type(preset.get(key)) is float and type(v) is int else v for key, v in resolved.items()}


def defaults(name: str) -> dict[str, Any]:
    """The options that have a default, with it."""
    return {key: p.default for key, p in _options(_factory(name)).items() if p.default is not p.empty}


def build(
    name: str,
    *,
    classes: int,
    channels: int = 3,
    size: int = 32,
    init: str = "kaiming_normal",
    **options: Any,
) -> nn.Module:
    """A network for images [B, channels, size, size] with `classes` logits.

    Its initial weights come from torch's global generator: seed that (`seeding.seeded`). Under
    `torch.device("meta")` nothing is allocated or drawn, which is the quick way to count weights.

    Raises:
        ValueError: as `check`, an unknown `init`, or images that this architecture cannot take.
    """
    factory = _factory(name)
    given = {"classes": classes, "channels": channels, "size": size}
    parameters = inspect.signature(factory).parameters
    taken = {key: value for key, value in given.items() if key in parameters or key == "classes"}
    try:
        model = factory(**taken, **check(name, options))
    except SystemExit as error:
        raise ValueError(f"architecture {name} called sys.exit({error.code})") from error
    if not isinstance(model, nn.Module):
        raise ValueError(f"architecture {name} returned a {type(model).__name__}, not a torch.nn.Module")
    initialise(model, init)
    return model


def _factory(name: str) -> Factory:
    if ":" in name:
        return _imported(name)
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    raise ValueError(f"unknown architecture {name!r}; {suggest(name, ARCHITECTURES)}")


def _imported(name: str) -> Factory:
    module_name, _, attribute = name.partition(":")
    if os.getcwd() not in sys.path:  # a console script's path begins with its own folder instead
        sys.path.append(os.getcwd())
    try:
        factory = getattr(importlib.import_module(module_name), attribute)
    except (Exception, SystemExit) as error:  # importing runs the user's code, which may raise anything
        raise ValueError(
            f"architecture {name!r} cannot be imported from {os.getcwd()} ({type(error).__name__}: {error});"
            " write it as package.module:factory"
        ) from error
    if not callable(factory):
        raise ValueError(f"architecture {name!r} is a {type(factory).__name__}, not a function that makes a network")
    try:
        inspect.signature(factory)
    except (TypeError, ValueError):  # some functions that are written in C
        raise ValueError(
            f"architecture {name!r} does not tell which arguments it takes; wrap it in a function"
        ) from None
    return factory


def _options(factory: Factory) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(factory).parameters
    return {
        key: parameter
        for key, parameter in parameters.items()
        if key not in _FROM_DATA and parameter.kind is not parameter.VAR_POSITIONAL
    }


def _positive(name: str, option: str, value: Any, kind: type) -> int | float:
    """A shipped architecture's option as the number it is declared to be, so that 1 and 1.0 are one trial."""
    allowed, most = (int, float) if kind is float else (int,), _MOST.get(option, _MOST_OTHERWISE)
    if isinstance(value, bool) or not isinstance(value, allowed) or not 0 < value < float("inf"):
        what = "number" if kind is float else "whole number"
        raise ValueError(f"{option}: architecture {name}: option {option!r} must be a {what} above 0, not {value!r}")
    if value > most:
        raise ValueError(f"{option}: architecture {name}: option {option!r} must be at most {most}, not {value!r}")
    return kind(value)
