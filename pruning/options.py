"""Options of a method: the keyword-only arguments of its functions, checked when a config is read."""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

from pruning.schedules import SCHEDULES
from pruning.scopes import SCOPES

_KINDS: dict[type, str] = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    tuple: "a list",
}
_CHOICES = {"schedule": tuple(SCHEDULES), "scope": SCOPES}
_AT_LEAST_ONE = (1, math.inf, "at least 1")
_RANGES: dict[str, tuple[float, float, str]] = {  # an option means the same in every method
    "rounds": _AT_LEAST_ONE,
    "steps": _AT_LEAST_ONE,
    "every": _AT_LEAST_ONE,
    "temperature": (math.ulp(0), math.inf, "a finite number above 0"),
}
# Names that a config or pruning.prune uses for something else.
TAKEN = (
    "name", "model", "method", "sparsity", "batches", "loss", "train_mode", "invert", "generator", "input_shape",
    "precision", "exclude", "graphs", "on_round", "on_remark",
)  # fmt: skip


def declared(function: Callable[..., Any]) -> dict[str, Any]:
    """The keyword-only arguments of a score or a masking, with their defaults."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


def check_score(method: str, function: Callable[..., Any]) -> None:
    """Check that a score function takes a problem and otherwise keyword-only arguments.

    Raises:
        ValueError: it does not; the message names the method.
    """
    kinds = [p.kind for p in inspect.signature(function).parameters.values()]
    if sum(kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD) for kind in kinds) != 1:
        raise ValueError(
            f"method {method}: its function must take the problem, then keyword-only options: (problem, *, power=1.0)"
        )


def check_declared(method: str, own: Mapping[str, Any]) -> None:
    """Check that a config can set every option that a method declares.

    Raises:
        ValueError: a name is reserved, or a default has no usable type; the message names method and option.
    """
    for name, default in own.items():
        if name in TAKEN:
            raise ValueError(f"method {method} has an option named {name!r}, which is reserved: rename it")
        if type(default) not in _KINDS:
            shown = "missing" if default is inspect.Parameter.empty else repr(default)
            raise ValueError(
                f"method {method}: an option's default must be a number, text, True, False or a tuple of these; that"
                f" of {name!r} is {shown}"
            )


def check(method: str, name: str, value: Any, default: Any) -> None:
    """Check the type of an option's value against that of its default, and its range by the option's name.

    Raises:
        ValueError: "option: what is wrong and what is valid".
    """
    kind = type(default)
    accepted = (int, float) if kind is float else (kind,)
    if not isinstance(value, accepted) or isinstance(value, bool) is not (kind is bool):
        example = "" if kind is bool else f" such as {default!r}"
        raise ValueError(f"{name}: method {method} takes {_KINDS[kind]}{example}, not {value!r}")
    if name in _CHOICES and value not in _CHOICES[name]:
        raise ValueError(f"{name}: {value!r} is none of {', '.join(_CHOICES[name])}")
    if kind in (int, float):
        usual = (0, math.inf, "0 or more") if kind is int else (-math.inf, math.inf, "a finite number")
        low, high, words = _RANGES.get(name, usual)
        if not (math.isfinite(value) and low <= value <= high):
            raise ValueError(f"{name}: must be {words}, not {value}")


def like(value: Any, default: Any) -> Any:
    """The value as a float if its default is one, so that 1 and 1.0 give the same trial."""
    return float(value) if isinstance(default, float) else value
