"""Code of one's own, named in a config: ``package.module:name``, or ``path/to/file.py:name``.

The working folder is looked into first. What is found there is imported under its own name where that is free, and
as part of :mod:`pruning.working_folder` where it is not: a folder ``training`` of one's own takes the place neither of
ours nor of an installed package.
"""

import hashlib
import importlib
import importlib.util
import os
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from pruning import working_folder

_PRIVATE = working_folder.__name__
_loaded: dict[tuple[str, Path], ModuleType] = {}  # by the part before the colon, and the working folder


@dataclass(frozen=True)
class Imported:
    """What a name leads to.

    Attributes:
        value: the object itself.
        file: that its module was read from; None for a module that is in no file.
    """

    value: Any
    file: Path | None

    @property
    def place(self) -> str:
        """The file as a message shows it: relative to the working folder where it is in there."""
        folder = working_folder.path()
        if self.file is None:
            return "a module without a file"
        return str(self.file.relative_to(folder) if self.file.is_relative_to(folder) else self.file)


def imported(name: str, kind: str, noun: str) -> Imported:
    """What ``package.module:name`` or ``path/to/file.py:name`` leads to.

    Args:
        name: both parts, as in a config.
        kind, noun: for messages, what is asked for and what leads to it: "method", "function".

    Raises:
        ValueError: nothing can be imported from there, or there is nothing of that name in it. The message says which
            file was found, or which folder was searched.
    """
    where, _, attribute = name.rpartition(":")
    file = None
    try:
        module = _loaded.get(key := (where, working_folder.path()))
        if module is None or sys.modules.get(module.__name__) is not module:
            file = _given_file(where) if _is_path(where) else _file_in_folder(where)
            with redirect_stdout(sys.stderr):  # what it prints is no part of our answers
                module = _loaded[key] = _load_elsewhere(where) if file is None else _load(where, file)
        file = _file_of(module)
        return Imported(getattr(module, attribute), file)
    except (Exception, SystemExit) as error:  # importing runs the user's code, which may raise anything
        raise ValueError(
            f"{kind} {name!r} cannot be imported from {file or working_folder.path()} ({one_line(error)}); "
            f"{_advice(where, file, error) or f'write it as package.module:{noun} or path/to/file.py:{noun}'}"
        ) from error


def normal_name(name: str) -> str:
    """A name whose path is written in the one shortest way: "./lab/../nets.py:build" is "nets.py:build"."""
    where, colon, attribute = name.rpartition(":")
    return f"{os.path.normpath(where)}:{attribute}" if colon and _is_path(where) else name


def one_line(error: BaseException) -> str:
    """An error with its type, in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _is_path(where: str) -> bool:
    return where.endswith(".py") or "/" in where


def _given_file(where: str) -> Path:
    file = (working_folder.path() / Path(where).expanduser()).resolve()
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}")
    return file


def _file_in_folder(module: str) -> Path | None:
    """The file of a module in the working folder, if there is one."""
    base = working_folder.path().joinpath(*module.split("."))
    return next((file for file in (base / "__init__.py", base.with_name(f"{base.name}.py")) if file.is_file()), None)


def _file_of(module: ModuleType) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if file else None


def _load_elsewhere(module: str) -> ModuleType:
    """A module that is not in the working folder as Python finds it, or one that is no Python file there."""
    _append(working_folder.path())
    return importlib.import_module(module)


def _append(folder: Path) -> None:
    if str(folder) not in sys.path:  # a console script's path begins with its own folder instead
        sys.path.append(str(folder))


def _load(where: str, file: Path) -> ModuleType:
    """The module of a file that was found or given."""
    if _is_path(where):
        _append(file.parent)  # a script finds what lies beside it, and so does this
    name = _module_name(file)
    if name is None:
        return _load_file(file)
    _append(working_folder.path())
    importlib.invalidate_caches()  # the file may be newer than what Python remembers of its folder
    if _is_free(name.partition(".")[0]):
        module = importlib.import_module(name)
        if _file_of(module) == file.resolve():
            return module
    return _load_private(name, file)


def _module_name(file: Path) -> str | None:
    """The name of a file of the working folder as a module; None where it has none."""
    folder = working_folder.path()
    if not file.is_relative_to(folder):
        return None
    parts = list(file.relative_to(folder).with_suffix("").parts)
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    return ".".join(parts) if all(part.isidentifier() for part in parts) and file.suffix == ".py" else None


def _is_free(top: str) -> bool:
    """Whether nothing but what is in the working folder has the name of this package or module."""
    loaded = sys.modules.get(top)
    spec = importlib.util.find_spec(top) if loaded is None else loaded.__spec__
    places = [] if spec is None else [spec.origin, *(spec.submodule_search_locations or ())]
    base = working_folder.path() / top
    own = (base, base.with_suffix(".py"), base / "__init__.py")
    return any(place and Path(place).resolve() in own for place in places)


def _load_private(name: str, file: Path) -> ModuleType:
    """The module as part of :mod:`pruning.working_folder`."""
    for _ in range(2):
        module = importlib.import_module(f"{_PRIVATE}.{name}")
        if _file_of(module) == file.resolve():
            break
        for known in [known for known in sys.modules if known.startswith(f"{_PRIVATE}.")]:
            del sys.modules[known]  # of a folder that was worked in before
    return module


def _load_file(file: Path) -> ModuleType:
    """The module of a file that has no name as a module of the working folder."""
    name = f"{_PRIVATE}.file_{hashlib.sha256(str(file).encode()).hexdigest()[:16]}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, file)
        if spec is None or spec.loader is None:
            raise ImportError(f"{file} is no Python file")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(sys.modules[name])
        except BaseException:  # sys.exit() in the file, too: the next import must not find half a module
            del sys.modules[name]
            raise
    return sys.modules[name]


def _advice(where: str, file: Path | None, error: BaseException) -> str:
    """What to do where a package of one's own has the name of another, and looks for itself under it."""
    name = _module_name(file) if file else None
    top = (name or where).partition(".")[0]
    missing = getattr(error, "name", None) if isinstance(error, ImportError) else None
    if file is None or missing is None or missing.partition(".")[0] != top or _is_free(top):
        return ""
    return f"another package is called {top!r}: inside yours write 'from . import …', or rename the folder"
