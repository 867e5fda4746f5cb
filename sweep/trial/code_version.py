"""The version of the code: what all machines that run one sweep must have in common.

Compared are source files, not commits: a machine may have the code without git, and a commit says nothing of changes
after it. Of this project, only the parts that a trial can import count, so that the machine that draws the report may
have newer code for that.

Another release of torch or numpy is no other code: results may differ in their last bits, as they do between kinds of
GPUs and processors. It is in the record of each trial (``versions``), and the launch remarks on it.
"""

import functools
import hashlib
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from pruning import plugins
from sweep.trial import checkout
from training import models

_PARTS = ("pruning", "training", "sweep/config", "sweep/engines", "sweep/store", "sweep/trial")
_PACKAGES = ("torch", "torchvision", "numpy")
_DIGITS = 16


@dataclass(frozen=True)
class CodeVersion:
    """The version of the code on one machine.

    Attributes:
        sources: hash of this project's source files that decide a result.
        own: for each method and network from outside, the hash of the file that defines it, or its package's release.
        releases: of torch and others, without the kind of build: "2.13.0" for 2.13.0+cpu and 2.13.0+cu130.
    """

    sources: str
    own: Mapping[str, str]
    releases: Mapping[str, str]


def code_version(methods: Iterable[str], architectures: Iterable[str]) -> CodeVersion:
    """The version of the code on this machine for trials with methods and networks of these names.

    Raises:
        ValueError: one of them cannot be imported.
    """
    own = {name: _of_method(name) for name in methods if plugins.is_outside(name)}
    own |= {name: _of_network(name) for name in architectures if models.is_own(name)}
    return CodeVersion(sources(), own, releases())


def difference(here: CodeVersion, launch: CodeVersion) -> str | None:
    """How the code of this machine differs from that of the launch, with both values; None if it does not."""
    if here.sources != launch.sources:
        commit = checkout.commit()
        of_commit = f", commit {commit.name[:10]}{' with changes' if commit.is_dirty else ''}" if commit else ""
        return (
            f"{socket.gethostname()} runs other code than the launch: its source files have the hash"
            f" {here.sources} ({checkout.PACKAGE.parent}{of_commit}), those of the launch {launch.sources}; bring it to"
            " the launch's version and launch again"
        )
    for name, digest in here.own.items():
        if digest != launch.own.get(name):
            return (
                f"{socket.gethostname()} has another {name} than the launch: {digest}, not"
                f" {launch.own.get(name, 'none')}; copy the launch's there and launch again"
            )
    return None


def other_releases(here: CodeVersion, launch: CodeVersion) -> str | None:
    """A sentence about libraries of another release than those of the launch; None if there are none."""
    others = [
        f"{name} {release} ({launch.releases.get(name, 'none')} where the launch runs)"
        for name, release in here.releases.items()
        if release != launch.releases.get(name)
    ]
    return f"{socket.gethostname()} has {', '.join(others)}: last bits of results may differ" if others else None


@functools.cache
def sources(root: Path = checkout.PACKAGE.parent) -> str:
    """Hash of the source files below ``root`` that a trial can import; once a process."""
    files = [file for part in _PARTS for file in (root / part).rglob("*.py")] + [*(root / "sweep").glob("*.py")]
    digest = hashlib.sha256()
    for file in sorted(file for file in files if not file.name.startswith(".")):  # an editor's
        data = file.read_bytes()
        digest.update(f"{file.relative_to(root).as_posix()} {len(data)}\n".encode() + data)
    return digest.hexdigest()[:_DIGITS]


@functools.cache
def releases() -> dict[str, str]:
    """The releases of the libraries that compute."""
    return {name: metadata.version(name).partition("+")[0] for name in _PACKAGES}


@functools.cache
def _of_method(name: str) -> str:
    if ":" in name:
        return _file_hash(plugins.own_file(name))
    return ", ".join(f"{plugins.package(point)} {plugins.release(point)}" for point in plugins.offered()[name])


@functools.cache
def _of_network(name: str) -> str:
    return _file_hash(models.own_file(name))


def _file_hash(file: Path | None) -> str:
    return f"hash {hashlib.sha256(file.read_bytes()).hexdigest()[:_DIGITS]}" if file else "a module without a file"
