"""Architectures by name: torchvision's with a small-image stem, the VGGs of the papers, or the user's own.

The networks are in resnets.py and vggs.py, their initial weights in initialise.py. A user's own network is named
"package.module:factory" or "path/to/file.py:factory"; docs/own-network-and-data.md lists its factory's arguments.
"""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from torch import nn

from pruning.draws import remembered_draws
from pruning.own_code import Imported, imported
from training import resnets, vggs
from training.initialise import initialise
from training.suggest import suggest
from training.vision import with_torchvision

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
_MOST, _MOST_OTHERWISE = {"depth": 1000}, 10_000  # above: minutes to build, or out of memory
_DATA_ARGUMENTS = ("classes", "channels", "size")  # arguments of a shipped factory that the data set determines
_CLASS_ARGUMENTS, _IMAGE_ARGUMENTS = ("classes", "num_classes"), ("channels", "size")


def names() -> list[str]:
    """Names of the shipped architectures."""
    return list(ARCHITECTURES)


def describe(name: str) -> str:
    """The first line of the docstring of an architecture's factory."""
    return (inspect.getdoc(_factory(name)) or "").partition("\n")[0]


def check(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """An architecture's options with its defaults filled in.

    Raises:
        ValueError: an unknown architecture or option (the message suggests known ones), a user's factory that cannot
            be imported or called, or a value of the wrong type.
    """
    factory = _factory(name)
    given, known = data_arguments(name, factory), _options(name, factory)
    for option in options:
        if option in given:
            raise ValueError(f"{option}: the data set determines this argument; leave it out")
        if option not in known and not _is_open_ended(factory):
            has = f"it has: {', '.join(known)}" if known else "it has none"
            raise ValueError(f"{option}: architecture {name} has no option {option!r}; {has}")
    missing = [key for key, p in known.items() if p.default is p.empty and key not in options]
    if missing:
        raise ValueError(f"{missing[0]}: architecture {name} needs the option {missing[0]!r}")
    preset = {key: parameter.default for key, parameter in known.items()}
    resolved = {**preset, **options}
    if name in ARCHITECTURES:
        return {key: _checked_number(name, key, value, known[key].annotation) for key, value in resolved.items()}
    return {key: float(v) if type(preset.get(key)) is float and type(v) is int else v for key, v in resolved.items()}


def defaults(name: str) -> dict[str, Any]:
    """Default values of the options that have one."""
    return {key: p.default for key, p in _options(name, _factory(name)).items() if p.default is not p.empty}


def default_init(name: str) -> str:
    """The initialiser used when a config names none; "default", the factory's own, for a user's architecture."""
    return "default" if is_own(name) else "kaiming_normal"


def is_own(name: str) -> bool:
    """Whether a name refers to user code and not to a shipped architecture."""
    return ":" in name


def origin(name: str) -> str:
    """The file that defines a user's architecture, as messages show it."""
    return _imported(name).place


def own_file(name: str) -> Path | None:
    """The file that defines a user's architecture; None for a module that is in no file."""
    return _imported(name).file


def data_arguments(name: str, factory: Factory | None = None) -> tuple[str, ...]:
    """The arguments of an architecture's factory that the data set determines.

    A user's factory gets the number of classes as `classes` or `num_classes` (the latter if it names neither and has
    `**kwargs`), and `channels` and `size` if it has no default for them. With a default they may mean something else,
    such as a width, and are ordinary options.

    Raises:
        ValueError: the factory has no argument for the number of classes.
    """
    factory = factory or _factory(name)
    parameters = inspect.signature(factory).parameters
    if not is_own(name):
        return tuple(key for key in _DATA_ARGUMENTS if key in parameters)
    classes = [key for key in _CLASS_ARGUMENTS if key in parameters] or [_CLASS_ARGUMENTS[1]] * _is_open_ended(factory)
    if not classes:
        raise ValueError(f"architecture {name} must take 'classes' or 'num_classes', the number of logits")
    return (
        *classes,
        *(key for key in _IMAGE_ARGUMENTS if key in parameters and parameters[key].default is inspect.Parameter.empty),
    )


def mismatched_options(name: str, options: Mapping[str, Any], *, channels: int, size: int) -> list[str]:
    """One line for each option `channels` or `size` of a user's factory that differs from the images."""
    images = {"channels": channels, "size": size}
    given = () if not is_own(name) else data_arguments(name)
    return [
        f"{key}={options[key]} is an option of the factory, but the images have {key}={images[key]}; a factory gets the"
        f" value of the images if it has no default for {key}"
        for key in _IMAGE_ARGUMENTS
        if is_own(name) and key in options and key not in given and options[key] != images[key]
    ]


def build(
    name: str,
    options: Mapping[str, Any] = MappingProxyType({}),
    /,
    *,
    classes: int,
    channels: int = 3,
    size: int = 32,
    init: str | None = None,
    **more: Any,
) -> nn.Module:
    """A network for images [B, channels, size, size] with `classes` logits.

    Initial weights are drawn from the global generators: seed those (`seeding.seeded`). Under
    `torch.device("meta")` nothing is allocated or drawn, which is the fast way to count weights.

    Args:
        options: of the architecture; `more` adds to them. A user's factory may have options named `channels` or `size`.
        init: None for `default_init(name)`.

    Raises:
        ValueError: as `check`; also an unknown `init`, or images that the architecture does not accept.
    """
    factory = _factory(name)
    data = {"classes": classes, "num_classes": classes, "channels": channels, "size": size}
    arguments = {key: data[key] for key in data_arguments(name, factory)} | check(name, {**options, **more})
    try:
        model = _call_factory(factory, arguments)
    except SystemExit as error:
        raise ValueError(f"architecture {name} called sys.exit({error.code})") from error
    if not isinstance(model, nn.Module):
        raise ValueError(f"architecture {name} returned a {type(model).__name__}, not a torch.nn.Module")
    initialise(model, init or default_init(name))
    return model


def _call_factory(factory: Factory, arguments: dict[str, Any]) -> Any:
    """Call a factory; if it must be called again with torchvision's operators declared, it draws the same weights."""
    rewind = remembered_draws()

    def call() -> Any:
        rewind()
        return factory(**arguments)

    return with_torchvision(call)


def _factory(name: str) -> Factory:
    if is_own(name):
        return _own_factory(name)
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    raise ValueError(f"unknown architecture {name!r}; {suggest(name, ARCHITECTURES)}")


def _imported(name: str) -> Imported:
    return with_torchvision(lambda: imported(name, "architecture", "factory"))


def _own_factory(name: str) -> Factory:
    factory: Any = _imported(name).value
    if not callable(factory):
        raise ValueError(f"architecture {name!r} is a {type(factory).__name__}, not a function that makes a network")
    try:
        inspect.signature(factory)
    except (TypeError, ValueError):  # some functions written in C
        raise ValueError(f"architecture {name!r} has no readable signature; wrap it in a function") from None
    own: Factory = factory
    return own


def _is_open_ended(factory: Factory) -> bool:
    return any(p.kind is p.VAR_KEYWORD for p in inspect.signature(factory).parameters.values())


def _options(name: str, factory: Factory) -> dict[str, inspect.Parameter]:
    given = data_arguments(name, factory)
    return {
        key: parameter
        for key, parameter in inspect.signature(factory).parameters.items()
        if key not in given and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }


def _checked_number(name: str, option: str, value: Any, kind: type) -> int | float:
    """Check a shipped architecture's option and convert it to its declared type, so that 1 and 1.0 give one trial."""
    allowed, most = (int, float) if kind is float else (int,), _MOST.get(option, _MOST_OTHERWISE)
    if isinstance(value, bool) or not isinstance(value, allowed) or not 0 < value < float("inf"):
        noun = "number" if kind is float else "whole number"
        raise ValueError(f"{option}: architecture {name}: option {option!r} must be a {noun} above 0, not {value!r}")
    if value > most:
        raise ValueError(f"{option}: architecture {name}: option {option!r} must be at most {most}, not {value!r}")
    return kind(value)
