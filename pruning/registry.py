"""The methods by name: registration, look-up with "did you mean", and those of your own by path or entry point."""

import difflib
import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pruning import plugins
from pruning.method import Method, ScoreFunction

_METHODS: dict[str, Method] = {}
_ASIDE: list[Method] = []  # registered by modules that were imported for one function's sake: see _load


def register(name: str, *, paper: str, **preset: Any) -> Callable[[ScoreFunction], ScoreFunction]:
    """Decorator: make a score function known as ``name``. ``preset`` are fields of :class:`pruning.method.Method`.

    The same function again (its module reloaded, a notebook's cell run again) takes the place of the earlier one.

    Raises:
        ValueError: another function has the name, or this one has arguments that a config could not set.
    """

    def add(score: ScoreFunction) -> ScoreFunction:
        known = _METHODS.get(name)
        if known and not _same(known.score, score):
            raise ValueError(f"a method named {name!r} is registered already, in {known.score.__module__}")
        _METHODS[name] = Method(name=name, paper=paper, score=score, **preset)
        return score

    return add


def names() -> list[str]:
    """Every method that has a name of its own: the registered ones in their order, then those that packages offer.

    The latter, entry points of the group ``sweep.methods``, are imported when they are first asked for. So one that
    is broken is among the names, and :func:`find` says what is wrong with it.
    """
    return list(dict.fromkeys([*_METHODS, *plugins.offered()]))


def registered() -> list[Method]:
    """The methods that were registered so far; nothing is imported for it."""
    return list(_METHODS.values())


def find(name: str) -> Method:
    """The method of that name, or the one that ``package.module:function`` leads to.

    A function that is named by its path has the preset it is registered with; one that is not registered is one-shot
    and global. Either way the method's name is the path: all that another process needs to find it again.

    Raises:
        ValueError: an unknown name, with the nearest known one; or a function that cannot be imported or be a method.
    """
    if ":" in name:
        return _preset(name, _load(lambda: plugins.imported(name)))
    if name in _METHODS:
        return _METHODS[name]
    if name in plugins.offered():
        _METHODS[name] = _offered(name)
        return _METHODS[name]
    raise ValueError(f"unknown method {name!r}; {_hint(name)}")


def usable() -> tuple[list[Method], list[str]]:
    """Every method that has a name of its own, and a line for each that a package offers in vain."""
    found, reasons = [], []
    for name in names():
        try:
            found.append(find(name))
        except ValueError as error:
            reasons.append(str(error))
            continue
        if found[-1].shipped and name in plugins.offered():
            packages = " and ".join(map(plugins.package, plugins.offered()[name]))
            reasons.append(f"method {name!r} of the package {packages}: a shipped one has that name, and keeps it")
    return found, reasons


def _load(load: Callable[[], Any]) -> Any:
    """What ``load`` imports. Methods that are registered on the way are set aside.

    Otherwise a name in a config would be known or unknown by what happens to have been imported before it, and the
    process that reads a config would know names that those which run its trials do not.
    """
    known = set(_METHODS)
    try:
        return load()
    finally:
        _ASIDE.extend(_METHODS.pop(name) for name in list(_METHODS) if name not in known)


def _offered(name: str) -> Method:
    """The method that an entry point leads to: a module that registers one of that name, or a function."""
    found = _load(lambda: plugins.loaded(name))
    if not inspect.ismodule(found):
        return _preset(name, found)
    for method in reversed(_ASIDE):
        if method.name == name and f"{method.score.__module__}.".startswith(f"{found.__name__}."):
            return method
    raise ValueError(f"method {name!r}: its entry point leads to {found.__name__}, which registers none of that name")


def _preset(name: str, function: ScoreFunction) -> Method:
    """The method that a function is registered as, under another name."""
    known = [m for m in (*_METHODS.values(), *_ASIDE) if inspect.unwrap(m.score) is inspect.unwrap(function)]
    if len(known) > 1:
        raise ValueError(
            f"method {name!r} is registered more than once, as {' and as '.join(m.name for m in known)}:"
            " give each a function of its own"
        )
    return replace(known[0], name=name) if known else Method(name=name, paper="", score=function)


def _same(one: ScoreFunction, other: ScoreFunction) -> bool:
    """Whether two functions are one that was defined again: the same name, in the same module or the same file."""
    names, modules, files = zip(_place(one), _place(other), strict=True)
    return names[0] == names[1] and (modules[0] == modules[1] or files[0] == files[1])


def _place(function: ScoreFunction) -> tuple[str, str, str]:
    name, code = getattr(function, "__qualname__", repr(function)), getattr(inspect.unwrap(function), "__code__", None)
    return name, function.__module__, getattr(code, "co_filename", name)


def _hint(name: str) -> str:
    for method in _ASIDE:
        if method.name == name:
            return f"write its path, {method.score.__module__}:{method.score.__name__}"
    near = difflib.get_close_matches(name.lower().replace("-", "_"), names(), n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names())}"
