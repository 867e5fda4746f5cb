"""What the options of a method mean, for ``help(pruning.prune)`` and ``sweep methods NAME``.

Options that several methods share are described here, a method's own under "Args:" of its score function or its
masking.
"""

import re
from typing import Any, NamedTuple

from pruning.docstrings import attributes
from pruning.method import Method
from pruning.registry import find, registered
from pruning.schedules import SCHEDULES
from pruning.scopes import SCOPES

SHARED = {
    "rounds": "T: how often weights are scored and removed.",
    "schedule": f"the density after each round: {' or '.join(SCHEDULES)}.",
    "truncate": "round each round's count down, as the authors' code does; the last count stays exact.",
    "scope": f"what one threshold covers: {', '.join(SCOPES)} (pruning.scopes).",
    "floor": "the least density of any layer, as a share of the network's density.",
}


class MethodOption(NamedTuple):
    """One option of a method: its name, its default and what it means (empty if its docstring does not say)."""

    name: str
    default: Any
    meaning: str


def method_options(method: str) -> list[MethodOption]:
    """The options of a method, which :func:`pruning.prune` takes as keyword arguments and a YAML as keys.

    Args:
        method: a name of :func:`pruning.names`, or ``package.module:function``.

    Raises:
        ValueError: an unknown name; the message has the nearest known one.
    """
    return options_of(find(method))


def options_of(method: Method) -> list[MethodOption]:
    """The same of a method that is found already."""
    own: dict[str, str] = {}
    for thing in (method.score, *getattr(method.masking, "__mro__", ())):
        own = attributes(thing, "Args") | own
    meanings = SHARED | own | {name: SHARED[name] for name in ("scope", "floor")}
    return [MethodOption(name, value, _plain(meanings.get(name, ""))) for name, value in method.options.items()]


def options_text() -> str:
    """The options of the registered methods, which ``help(pruning.prune)`` ends with."""
    lines = ["Options that mean the same in every method:", *(f"    {name}: {text}" for name, text in SHARED.items())]
    lines += ["", "Options of each method, with their defaults; as rows: pruning.method_options(NAME):"]
    for method in registered():
        options = options_of(method)
        lines.append(f"    {method.name}: {', '.join(f'{o.name}={o.default!r}' for o in options) or 'none'}")
        lines += [f"        {o.name}: {o.meaning}" for o in options if o.meaning and o.meaning != SHARED.get(o.name)]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """A docstring's text without its markup."""
    return re.sub(r":\w+:`~?([^`]+)`|``([^`]+)``", lambda match: match[1] or match[2], text)
