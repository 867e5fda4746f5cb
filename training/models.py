"""Name to network: torchvision's with a small-image stem, the papers' VGGs, or your own.

The networks are in resnets.py and vggs.py, their initial weights in initialise.py. A network of your own is named as
"package.module:factory" or "path/to/file.py:factory"; docs/own-network-and-data.md says what its factory is told.
"""

import inspect
from collections.abc import Callable, Mapping
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
_MOST, _MOST_OTHERWISE = {"depth": 1000}, 10_000  # deeper takes minutes to build, wider fits into no machine
_FROM_DATA = ("classes", "channels", "size")  # what a shipped factory is told of the images, where it takes it
_CLASSES, _IMAGES = ("classes", "num_classes"), ("channels", "size")


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
    factory = _factory(name)
    told, known = told_of_data(name, factory), _options(name, factory)
    for option in options:
        if option in told:
            raise ValueError(f"{option}: an architecture is told of it by the data; leave it out")
        if option not in known and not _is_open_ended(factory):
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
    return {key: p.default for key, p in _options(name, _factory(name)).items() if p.default is not p.empty}


def default_init(name: str) -> str:
    """How an architecture's weights are initialised unless a config says it; your own: as its factory does it."""
    return "default" if is_own(name) else "kaiming_normal"


def is_own(name: str) -> bool:
    """Whether a name leads to code, and not to a shipped architecture."""
    return ":" in name


def origin(name: str) -> str:
    """The file that an architecture of your own was found in."""
    return _imported(name).place


def told_of_data(name: str, factory: Factory | None = None) -> tuple[str, ...]:
    """The arguments of an architecture's factory that the data decides.

    A factory of your own is told the number of classes as `classes` or `num_classes`, or as the latter where it names
    neither and takes any keyword; and `channels` and `size` where it has no default for them. With a default they
    may mean something else (a width, say), and are options like any other.

    Raises:
        ValueError: it takes no number of classes.
    """
    factory = factory or _factory(name)
    parameters = inspect.signature(factory).parameters
    if not is_own(name):
        return tuple(key for key in _FROM_DATA if key in parameters)
    classes = [key for key in _CLASSES if key in parameters] or [_CLASSES[1]] * _is_open_ended(factory)
    if not classes:
        raise ValueError(f"architecture {name} must take 'classes' or 'num_classes', how many logits it answers with")
    return (
        *classes,
        *(key for key in _IMAGES if key in parameters and parameters[key].default is inspect.Parameter.empty),
    )


def kept_defaults(name: str, options: Mapping[str, Any], *, channels: int, size: int) -> list[str]:
    """A line for each option of your own factory that is named as something of the images, and is not that."""
    images = {"channels": channels, "size": size}
    told = () if not is_own(name) else told_of_data(name)
    return [
        f"{key}={options[key]} is an option of the factory, and the images have {key}={images[key]}; a factory is told"
        f" that of the images where it has no default for {key}"
        for key in _IMAGES
        if is_own(name) and key in options and key not in told and options[key] != images[key]
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

    Its initial weights come from the global generators: seed those (`seeding.seeded`). Under
    `torch.device("meta")` nothing is allocated or drawn, which is the quick way to count weights.

    Args:
        options: of the architecture, `more` others. A factory of your own may have some called `channels` or `size`.
        init: None for `default_init(name)`.

    Raises:
        ValueError: as `check`, an unknown `init`, or images that this architecture cannot take.
    """
    factory = _factory(name)
    data = {"classes": classes, "num_classes": classes, "channels": channels, "size": size}
    arguments = {key: data[key] for key in told_of_data(name, factory)} | check(name, {**options, **more})
    try:
        model = _called(factory, arguments)
    except SystemExit as error:
        raise ValueError(f"architecture {name} called sys.exit({error.code})") from error
    if not isinstance(model, nn.Module):
        raise ValueError(f"architecture {name} returned a {type(model).__name__}, not a torch.nn.Module")
    initialise(model, init or default_init(name))
    return model


def _called(factory: Factory, arguments: dict[str, Any]) -> Any:
    """What a factory returns. Should it need torchvision's operators declared, it draws the same the second time."""
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
    except (TypeError, ValueError):  # some functions that are written in C
        raise ValueError(
            f"architecture {name!r} does not tell which arguments it takes; wrap it in a function"
        ) from None
    own: Factory = factory
    return own


def _is_open_ended(factory: Factory) -> bool:
    return any(p.kind is p.VAR_KEYWORD for p in inspect.signature(factory).parameters.values())


def _options(name: str, factory: Factory) -> dict[str, inspect.Parameter]:
    told = told_of_data(name, factory)
    return {
        key: parameter
        for key, parameter in inspect.signature(factory).parameters.items()
        if key not in told and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
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
