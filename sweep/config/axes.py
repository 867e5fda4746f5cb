"""The values of the grid's axes: architectures, methods, sparsities, seeds and ablations, read and checked."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pruning
from pruning.ablations import ABLATIONS
from pruning.own_code import normal_name
from sweep.config import validate as reading
from sweep.config.yaml_tree import Node
from sweep.text import number
from training import models
from training.initialise import INITIALISERS
from training.suggest import suggest

Options = dict[str, Any]
_LONGEST_LABEL = 44


@dataclass(frozen=True)
class Choice:
    """An architecture or a method of the grid.

    Attributes:
        name: as in the config.
        options: name and value of every option, defaults included.
        label: the name and the options that differ from their defaults: "force rounds=300".
        display_name: the ``label:`` of the YAML, which tables and figures show instead; empty without one. It is no
            part of a trial: two choices that differ only in it are equal, and so are their trials' ids.
    """

    name: str
    options: tuple[tuple[str, Any], ...] = ()
    label: str = ""
    display_name: str = field(default="", compare=False)

    def as_dict(self) -> dict[str, Any]:
        """Plain form: {"name": …, option: value, …}."""
        return {"name": self.name, **dict(self.options)}

    def as_written(self) -> dict[str, Any]:
        """Plain form with the display name, as a YAML may have it."""
        return self.as_dict() | ({"label": self.display_name} if self.display_name else {})


def read_named(node: Node, key: str) -> tuple[str, dict[str, Any]]:
    """A bare name, or a mapping with ``name`` and options, lists made tuples."""
    if isinstance(node.value, str):
        return normal_name(node.value), {}
    if not isinstance(node.value, dict) or not isinstance(getattr(node.value.get("name"), "value", None), str):
        nameless = " without a name" if isinstance(node.value, dict) else ""
        wanted = "a name, or a mapping such as {name: …, option: …}"
        raise node.error(key, f"{wanted}, not {reading.scalar(node)}{nameless}")
    options = {k: _option(child, f"{key}.{k}") for k, child in node.value.items() if k != "name"}
    return normal_name(node.value["name"].value), options


def _option(node: Node, key: str) -> Any:
    """An option's value: text, a number, true or false, null, or a list of them."""
    if isinstance(node.value, list):
        return tuple(_option(item, key) for item in node.value)
    if not _plain(node.value):
        raise node.error(
            key, f"an option is text, a finite number, true, false, null or a list, not {reading.scalar(node)}"
        )
    return node.value


def _plain(value: Any) -> bool:
    """Whether a trial's id can be made of it."""
    if isinstance(value, (tuple, list)):
        return all(map(_plain, value))
    return value is None or isinstance(value, (str, int)) or (isinstance(value, float) and math.isfinite(value))


def _choice(
    node: Node,
    key: str,
    given: tuple[str, Options],
    resolve: Callable[[Options], Options],
    defaults: Callable[[], Options],
) -> Choice:
    name, written = given
    display_name = ""
    if "label" in written and not _accepts(resolve, written):
        display_name = _display_name(node.value["label"], f"{key}.label")
        written = {option: value for option, value in written.items() if option != "label"}
    try:
        options, usual = resolve(written), defaults()
    except ValueError as error:
        option, _, message = str(error).partition(": ")
        child = node.value.get(option) if isinstance(node.value, dict) else None
        raise (child.error(f"{key}.{option}", message) if child else node.error(key, str(error))) from None
    for option, value in options.items():
        if not _plain(value):
            raise node.error(key, f"{name}: the default of its option {option!r} is no plain value, to make an id of")
    frozen = {option: _frozen(value) for option, value in options.items()}
    changed = [f"{k}={_short(v)}" for k, v in frozen.items() if k not in usual or v != usual[k]]
    return Choice(name, tuple(frozen.items()), " ".join([name, *changed]), display_name)


def _accepts(resolve: Callable[[Options], Options], written: Options) -> bool:
    """Whether code of one's own has an option called ``label``, which is then no display name."""
    try:
        return "label" in resolve(written)
    except ValueError:
        return False


def _display_name(node: Node, key: str) -> str:
    text = node.value
    if not isinstance(text, str) or not text.strip() or len(text) > _LONGEST_LABEL or not text.isprintable():
        wanted = f"text of up to {_LONGEST_LABEL} characters that tables and figures show"
        raise node.error(key, f"{wanted}, not {reading.scalar(node)}")
    if "|" in text:
        raise node.error(key, f"has a '|', which would end a cell of a table: {text!r}")
    return text.strip()


def _frozen(value: Any) -> Any:
    """Lists as tuples, however deep: a trial is a key of dictionaries."""
    return tuple(map(_frozen, value)) if isinstance(value, (list, tuple)) else value


def _short(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ",".join(map(_short, value)) + "]"
    return number(value) if isinstance(value, float) else str(value)


def read_architecture(node: Node, key: str) -> Choice:
    """A name or a mapping with options, ``init``, the name of its initialisation, always among them."""
    name, options = read_named(node, key)

    def resolve(given: Options) -> Options:
        init = given.get("init", models.default_init(name))
        if init not in INITIALISERS:
            raise ValueError(f"init: unknown initialisation {init!r}; {suggest(str(init), INITIALISERS)}")
        options = models.check(name, {k: v for k, v in given.items() if k != "init"})
        for taken in ("name", "init"):
            if taken in options:
                raise ValueError(
                    f"architecture {name} has an option called {taken!r}, which a config cannot set; rename it"
                )
        return {"init": init, **options}

    def defaults() -> Options:
        return {"init": models.default_init(name), **models.defaults(name)}

    return _choice(node, key, (name, options), resolve, defaults)


def read_method(node: Node, key: str) -> Choice:
    """A name or a mapping with options."""
    name, options = read_named(node, key)

    def resolve(given: Options) -> Options:
        return pruning.find(name).resolve(given)

    return _choice(node, key, (name, options), resolve, lambda: pruning.find(name).options)


def read_sparsity(node: Node, key: str) -> float:
    """A fraction in [0, 1); percentages are answered with the fraction."""
    value = node.value
    percentage = re.fullmatch(r"\s*(\d{1,2}(\.\d*)?|\.\d+)\s*%\s*", value) if isinstance(value, str) else None
    if percentage:
        fraction = float(percentage[1]) / 100
        raise node.error(key, f"sparsity is the fraction removed, in [0, 1): write {fraction:g}, not {node.value!r}")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise node.error(key, f"sparsity is the fraction removed, a number in [0, 1), not {reading.scalar(node)}")
    if 1 < value < 100:
        raise node.error(key, f"{value:g} looks like a percentage: sparsity is a fraction, write {value / 100:g}")
    if not 0 <= value < 1:
        raise node.error(key, f"sparsity is the fraction removed, in [0, 1), not {value:g}")
    return abs(float(value))  # -0.0 is 0.0, and the same trial


def read_ablation(node: Node, key: str) -> str:
    """A control that is made of every method's mask, or "none"."""
    ablation: str = reading.value(str, node, key)
    if ablation not in ABLATIONS:
        raise node.error(key, f"unknown ablation {ablation!r}; {suggest(ablation, ABLATIONS)}")
    return ablation


def read_seed(node: Node, key: str) -> int:
    """A whole number that every generator takes."""
    seed: int = reading.value(int, node, key)
    if not 0 <= seed < 2**31:
        raise node.error(key, f"a seed lies between 0 and 2147483647, not {seed}")
    return seed


READERS: dict[str, Callable[[Node, str], Any]] = {
    "architecture": read_architecture,
    "method": read_method,
    "sparsity": read_sparsity,
    "seed": read_seed,
    "ablation": read_ablation,
}
AXES = tuple(READERS)


def read_axis(axis: str, node: Node, key: str) -> tuple[Any, ...]:
    """The values of an axis, at least one and each once; a scalar stands for a list of one.

    Args:
        axis: a name in :data:`AXES`.
        node: its value.
        key: its dotted name, for errors.
    """
    items = node.value if isinstance(node.value, list) else [node]
    if not items:
        raise node.error(key, "is empty: name at least one")
    values: dict[Any, None] = {}  # in their order, and quick to look up in
    for item in items:
        value = READERS[axis](item, key)
        if value in values:
            raise item.error(key, f"{getattr(value, 'label', value)} stands twice in the grid; remove one")
        shown = getattr(value, "display_name", "")
        if shown and any(shown == getattr(other, "display_name", "") for other in values):
            raise item.error(key, f"the label {shown!r} stands twice in the grid; give each its own")
        values[value] = None
    return tuple(values)
