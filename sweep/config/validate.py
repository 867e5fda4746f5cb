"""From a tree of YAML values to a typed, frozen dataclass, with errors that name the line and the fix."""

import dataclasses
import datetime
import re
import types
import typing
from typing import Any, Literal, TypeVar, Union

from sweep.config.yaml_tree import Node
from training.suggest import suggest

T = TypeVar("T")
_WORDS: dict[Any, str] = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


def read(kind: type[T], node: Node, key: str = "") -> T:
    """An instance of the dataclass ``kind`` from a mapping. Fields not given keep their defaults.

    A ``ValueError("field: message")`` of the dataclass itself is reported at the line of that field.

    Raises:
        InputError: unknown or missing key, wrong type, value refused by the dataclass.
    """
    if not isinstance(node.value, dict):
        raise node.error(key, f"must be a mapping with the keys {_listed(kind)}, not {scalar(node)}")
    hints, fields = typing.get_type_hints(kind), {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name, child in node.value.items():
        if name not in fields:
            raise child.error(_join(key, name), f"unknown key; {suggest(name, fields)}")
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in node.value:
            raise node.error(_join(key, name), "is missing")
    values = {name: value(hints[name], child, _join(key, name)) for name, child in node.value.items()}
    try:
        return kind(**values)
    except ValueError as error:
        name, colon, message = str(error).partition(": ")
        if not colon or name not in fields:
            raise node.error(key, str(error)) from None
        raise node.value.get(name, node).error(_join(key, name), message) from None


def value(hint: Any, node: Node, key: str) -> Any:
    """``node`` as a value of the type ``hint``; a scalar stands for a list of one."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return _union(arguments, node, key)
    if origin is Literal:
        if node.value is False and "off" in arguments:  # YAML 1.1 reads off as false
            return "off"
        if node.value not in arguments or isinstance(node.value, bool):
            raise node.error(key, f"{scalar(node)} is none of {', '.join(map(str, arguments))}")
        return node.value
    if origin is tuple:
        items = node.value if isinstance(node.value, list) else [node]
        return tuple(value(arguments[0], item, key) for item in items)
    if dataclasses.is_dataclass(hint):
        return read(hint, node, key)  # type: ignore[arg-type]
    if hint is float and isinstance(node.value, int) and not isinstance(node.value, bool):
        return float(node.value)
    if not isinstance(node.value, hint) or isinstance(node.value, bool) is not (hint is bool):
        raise node.error(key, f"must be {_WORDS.get(hint, hint)}, not {scalar(node)}{_spelling(hint, node.value)}")
    return node.value


def _union(kinds: tuple[Any, ...], node: Node, key: str) -> Any:
    if node.value is None and type(None) in kinds:
        return None
    kinds = tuple(kind for kind in kinds if kind is not type(None))
    words = [word for kind in kinds if typing.get_origin(kind) is Literal for word in typing.get_args(kind)]
    if isinstance(node.value, str) and node.value in words:
        return node.value
    exact = [kind for kind in kinds if type(node.value) is kind]
    is_number = type(node.value) in (int, float)
    if not exact and ((words and not is_number) or set(kinds) == {int, float}):
        wanted = " or ".join(["a number", *words])
        raise node.error(key, f"must be {wanted}, not {scalar(node)}{_spelling(float, node.value)}")
    return value(exact[0] if exact else kinds[0], node, key)


def _spelling(hint: Any, value: Any) -> str:
    """How to write a number that was given as a percentage, 1_000, 1:30 or 0x10; empty for anything else."""
    if hint not in (int, float) or not isinstance(value, str):
        return ""
    if percentage := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", value):
        return f"; write {float(percentage[1]) / 100:.10g}"
    return "; a number is written as 1000, 0.95 or 5e-4" if re.match(r"[-+.]?[0-9]", value) else ""


def scalar(node: Node) -> str:
    """The value as a message shows it."""
    if isinstance(node.value, (dict, list)):
        return "a mapping" if isinstance(node.value, dict) else "a list"
    if isinstance(node.value, datetime.date):  # what YAML makes of 2001-02-03
        return f"the date {node.value}; put text in quotes"
    return repr(node.value)


def _listed(kind: Any) -> str:
    return ", ".join(field.name for field in dataclasses.fields(kind))


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name
