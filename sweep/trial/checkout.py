"""The git checkout that this package runs from, if it runs from one of its own."""

import os
import subprocess
import tomllib
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).resolve().parents[1]


class Commit(NamedTuple):
    """A commit, and whether tracked files differ from it."""

    name: str
    is_dirty: bool


def commit(package: Path = PACKAGE) -> Commit | None:
    """The commit of the code in ``package``; None where that does not lie in a checkout of this project.

    An environment, or a copy of the code, may lie inside another repository, whose commit says nothing of this code: so
    the top level of the repository has to be the package's parent, and git has to track the package's files.
    """
    top = _git(package, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != package.resolve().parent:
        return None
    if _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    name, changes = _git(package, "rev-parse", "HEAD"), _git(package, "status", "--porcelain", "--untracked-files=no")
    return None if name is None else Commit(name, bool(changes))


def version(package: Path = PACKAGE) -> str | None:
    """The version that the ``pyproject.toml`` beside the package gives; None where there is none of this project."""
    try:
        project = tomllib.loads((package.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    except (OSError, ValueError, KeyError):
        return None
    return project.get("version") if project.get("name") == package.name else None


def _git(folder: Path, *arguments: str) -> str | None:
    """What git answers there, whatever repository the environment names; None where it fails or is not installed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(folder), *arguments]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, env=environment)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
