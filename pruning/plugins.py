"""Methods from outside: named by path in a config, or offered by an installed package as an entry point.

Nothing here knows the registry: a name leads to what it names, or to an error that says what went wrong.
"""

from collections.abc import Callable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from pruning import own_code
from pruning.own_code import one_line

GROUP = "sweep.methods"


def imported(path: str) -> Callable[..., Any]:
    """The function that ``package.module:function`` or ``path/to/file.py:function`` names.

    Raises:
        ValueError: nothing of that name can be imported, or it is no function.
    """
    function: Any = own_code.imported(path, "method", "function").value
    if not callable(function) or isinstance(function, type):
        raise ValueError(f"method {path!r} is a {type(function).__name__}, not a function that gives scores")
    found: Callable[..., Any] = function
    return found


def origin(path: str) -> str:
    """The file that such a function was found in, as messages show it."""
    return own_code.imported(path, "method", "function").place


def own_file(path: str) -> Path | None:
    """The same file; None for a module that is in no file."""
    return own_code.imported(path, "method", "function").file


@cache
def offered() -> dict[str, tuple[EntryPoint, ...]]:
    """The entry points of installed packages by name, read once a process; more than one for a contested name."""
    found: dict[str, tuple[EntryPoint, ...]] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, package(point))):
        found[point.name] = (*found.get(point.name, ()), point)
    return found


def loaded(name: str) -> Any:
    """What the entry point of that name leads to: a module, or something in one.

    Raises:
        ValueError: it cannot be imported, or several packages offer one of that name.
    """
    points = offered()[name]
    if len(points) > 1:
        packages = " and ".join(map(package, points))
        raise ValueError(f"method {name!r} is offered by {packages}: uninstall one of them")
    try:
        return points[0].load()
    except (Exception, SystemExit) as error:
        raise ValueError(
            f"method {name!r} of the package {package(points[0])} cannot be loaded from {points[0].value!r}"
            f" ({one_line(error)})"
        ) from error


def is_outside(name: str) -> bool:
    """Whether a method's name leads out of this project: to a file, a module or an installed package."""
    return ":" in name or name in offered()


def package(point: EntryPoint) -> str:
    """Name of the package that an entry point belongs to."""
    return point.dist.name if point.dist else "(unknown)"


def release(point: EntryPoint) -> str:
    """Release of that package."""
    return point.dist.version if point.dist else "(unknown)"
