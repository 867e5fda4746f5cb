"""What things are called where people read: in tables, figures and file names."""

import functools
import hashlib
import math
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING

from sweep.text import percent

if TYPE_CHECKING:
    from pruning.method import Method

DATA = {
    "digits": "digits",
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "tiny_imagenet": "Tiny-ImageNet",
    "imagenet": "ImageNet",
    "image_folder": "image folder",
    "parquet": "Parquet images",
}
ARCHITECTURES = {
    "vgg_digits": "small VGG",
    "wide_resnet32": "Wide ResNet-32",
    "imagenet_resnet50": "ResNet-50",
    "imagenet_vgg19": "VGG-19",
}
ORDER = (  # of methods in every table and legend; others follow by name
    "dense", "random", "random_layerwise", "erk", "magnitude", "snip", "grasp", "synflow", "iter_snip", "iter_grasp",
    "force", "ntk_sap", "prospr", "phew", "set", "rigl", "imp", "magnitude_after",
)  # fmt: skip
CONTROLS = {  # in order, after the method that they are made of
    "shuffle_layerwise": "shuffled within layers",
    "reinitialize": "re-initialised",
    "invert": "inverted",
}
_GIVEN: ContextVar[Mapping[str, Mapping[str, str]]] = ContextVar("given", default=MappingProxyType({}))
_OPTIONS = {"scope=uniform_plus": "uniform+"}
_LONGEST = 120  # characters of a file name
_IN_FIGURE = 44  # characters of a method's name
_TITLE = 288  # characters of a figure's title, four lines


@contextmanager
def named(given: Mapping[str, Mapping[str, str]]) -> Iterator[None]:
    """Inside, architectures and methods have other names: axis -> label -> name (:mod:`sweep.report.display_names`)."""
    token = _GIVEN.set(given)
    try:
        yield
    finally:
        _GIVEN.reset(token)


def data_name(name: str, encoding: str | None, train: float = 1.0) -> str:
    """``cifar10`` -> ``CIFAR-10``; ``10 % of CIFAR-10 (JPEG)`` for a fraction of a lossy copy of the images."""
    shown = DATA.get(name, name)
    shown = f"{shown} (JPEG)" if encoding == "JPEG" else shown
    return shown if train == 1 else f"{percent(train).removesuffix('%')} % of {shown}"


def architecture_name(label: str) -> str:
    """``resnet50 width=2`` -> ``ResNet-50, width=2``; or what the sweep calls it."""
    if (given := _GIVEN.get().get("architecture", {}).get(label)) is not None:
        return given
    name, options = _split(label)
    shown = ARCHITECTURES.get(name) or re.sub(r"^vgg(?=\d+$)", "VGG-", re.sub(r"^resnet(?=\d+$)", "ResNet-", name))
    return ", ".join([shown, *options])


def method_name(label: str) -> str:
    """``force rounds=300`` -> ``FORCE, rounds=300``, or what the sweep calls it; of a control with what it is."""
    own, control = split_control(label)
    name, options = _split(own)
    registered = registered_method(name)
    parts = [(registered and registered.display_name) or name, *(_OPTIONS.get(option, option) for option in options)]
    if (given := _GIVEN.get().get("method", {}).get(own)) is not None:
        parts = [given]
    return ", ".join([*parts, CONTROLS.get(control, control)] if control else parts)


@functools.cache
def registered_method(name: str) -> "Method | None":
    """The method of that name, for its display name, colour and marker; None where it is unknown here.

    A method that is named by its path (``package.module:function``) is not imported, so it has none of these.
    """
    if ":" in name:
        return None
    from pruning import registry  # imports torch, which importing a report does without

    try:
        return registry.find(name)
    except ValueError:
        return None


def figure_name(label: str) -> str:
    """:func:`method_name` where room is short: of a long one its start and four digits that tell it from others."""
    own, control = split_control(label)
    return ", ".join([_shortened(method_name(own), _IN_FIGURE), *([CONTROLS.get(control, control)] if control else [])])


def figure_title(title: str, characters: int = 72) -> str:
    """A title in lines of so many characters: of a long one its start and four digits that tell it from others."""
    return textwrap.fill(_shortened(title, _TITLE), characters)


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 6]}… {hashlib.sha256(text.encode()).hexdigest()[:4]}"


def split_control(label: str) -> tuple[str, str]:
    """The method and the control made of it: ``snip ablation=invert`` -> (``snip``, ``invert``), else an empty one."""
    own, _, control = label.partition(" ablation=")
    return own, control


def method_order(label: str) -> tuple[int, list[str | int], int, str]:
    """Sort key: as in :data:`ORDER`, then others by name; options by number; controls after their method."""
    own, control = split_control(label)
    name, _ = _split(own)
    numbered = [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", own)]
    return _place(name, ORDER), numbered, _place(control, CONTROLS) if control else -1, control


def _place(name: str, known: Iterable[str]) -> int:
    names = list(known)
    return names.index(name) if name in names else len(names)


def file_name(*parts: str) -> str:
    """The parts as one portable file name of ``a-z 0-9 . _ -``; a long one ends in a hash instead."""
    words = [re.sub(r"[^a-z0-9._]+", "-", part.lower()).strip("-.") for part in parts]
    name = "-".join(word for word in words if word)
    digest = hashlib.sha256(" ".join(parts).encode()).hexdigest()[:8]
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 9]}-{digest}"


def measured_sparsity(fraction: float) -> str:
    """``0.99982`` -> ``99.982%``: as many decimals as show two digits of the density, and at least two."""
    density = 1 - fraction
    if density <= 0 or fraction <= 0:
        return percent(fraction)
    decimals = min(8, max(2, 1 - math.floor(math.log10(100 * density))))
    return f"{100 * fraction:.{decimals}f}%"


def _split(label: str) -> tuple[str, list[str]]:
    name, *options = label.split(" ")
    return name, options
