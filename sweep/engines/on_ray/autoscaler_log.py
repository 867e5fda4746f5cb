"""The autoscaler's log, on the head: what it may launch, and the errors that it tells nobody else.

The state that Ray reports of its autoscaler says that a cloud refused a machine but not why, and not that a set-up
failed. The log has both, and the config, which on Kubernetes lies in no file.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from sweep.engines.on_ray.waiting import Kind
from sweep.text import one_line

FIRST, LAST = 200_000, 400_000  # bytes that are read of a log that may be long
_LINE = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", re.MULTILINE)  # begins a message
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_CONFIG_FILE = re.compile(r"--autoscaling-config=([^'\"\s,\]]+)")
_DUMP = "Using Autoscaling Config: \n"
_REFUSED = re.compile(r"Failed to launch \d+ nodes of type (\S+?)(?: with request id \S+)?: (.*\S)", re.DOTALL)
_GIVEN = re.compile(r"->ALLOCATED \(id=[^,]*, type=([^,]*),")
_INSTALLING = re.compile(r"->RAY_INSTALLING \(id=[^,]*, type=([^,]*), cloud_instance_id=([^,)]*)")
_JOINED = re.compile(r"->RAY_RUNNING \(id=[^,]*, type=([^,]*),")
_INSTALL_FAILED = re.compile(r"Ray installation failed on instance ([^:]*): (.*)", re.DOTALL)
_SETUP_FAILED = re.compile(r"(Setup command `.*?` failed with exit code \S+ stderr: .*)", re.DOTALL)


@dataclass(frozen=True)
class AutoscalerLog:
    """What the log says.

    Attributes:
        kinds: of machines besides the head that may be launched; empty: this is no autoscaler.
        most: of them, of all kinds together.
        provider: the config's name for the cloud.
        refused: why the cloud refused a kind, where it has given none of that kind since.
        broken: why the set-up of a kind failed, where none of that kind has joined since.
    """

    kinds: tuple[Kind, ...] = ()
    most: int | None = None
    provider: str = ""
    refused: Mapping[str, str] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)


def read(folder: Path) -> AutoscalerLog | None:
    """The log in Ray's folder of logs, on the head. None where there is none, or it says nothing of a config.

    Runs in a process of the head's, perhaps one of Ray's.
    """
    try:
        text = _ends_of(folder / "monitor.log")
        output = _ends_of(folder / "monitor.out") if (folder / "monitor.out").exists() else ""
    except OSError:
        return None
    return parse(text, output, config_in(text))


def parse(text: str, output: str, config: Mapping[str, Any] | None) -> AutoscalerLog | None:
    """The same of a log's text, the output beside it, and the autoscaler's config."""
    if "tarted with command" not in text and config is None:
        return None
    config = config or {}
    provider = str(config.get("provider", {}).get("type", ""))
    types = {} if provider == "readonly" else config.get("available_node_types", {})
    head = config.get("head_node_type") or (next(iter(types)) if len(types) == 1 else None)
    kinds = tuple(
        Kind(name, kind.get("resources", {}), int(kind.get("max_workers", config.get("max_workers", 0))))
        for name, kind in types.items()
        if name != head or kind.get("max_workers")
    )
    refused, broken = _errors(text, output)
    return AutoscalerLog(kinds, config.get("max_workers") if kinds else None, provider, refused, broken)


def _ends_of(file: Path) -> str:
    """A log's beginning and end."""
    with file.open("rb") as stream:
        first = stream.read(FIRST)
        end = stream.seek(0, 2)
        stream.seek(max(FIRST, end - LAST))
        return _COLOURS.sub("", (first + stream.read()).decode(errors="replace"))


def config_in(text: str) -> Mapping[str, Any] | None:
    """The autoscaler's config: the file as it is now, which the autoscaler rereads too, or what it logged."""
    if file := _CONFIG_FILE.search(text):
        try:
            config = yaml.safe_load(Path(file[1]).expanduser().read_text())
        except (OSError, yaml.YAMLError):
            config = None
    else:
        config = _dumped(text)
    return config if isinstance(config, dict) else None


def _dumped(text: str) -> Any:
    *before, after = text.rsplit(_DUMP, 1)
    if not before:
        return None
    end = _LINE.search(after)
    try:
        return yaml.safe_load(after[: end.start()] if end else after)
    except yaml.YAMLError:
        return None


def _errors(text: str, output: str) -> tuple[dict[str, str], dict[str, str]]:
    """Refusals and failed set-ups by kind, that are not over."""
    refused: dict[str, str] = {}
    broken: dict[str, str] = {}
    kinds: dict[str, str] = {}  # by machine
    setups = [match[1] for message in _messages(output) if (match := _SETUP_FAILED.search(message))]
    for message in _messages(text):
        if match := _GIVEN.search(message):
            refused.pop(match[1], None)
        elif match := _INSTALLING.search(message):
            kinds[match[2]] = match[1]
        elif match := _JOINED.search(message):
            refused.pop(match[1], None)
            broken.pop(match[1], None)
        elif match := _REFUSED.search(message):
            refused[match[1]] = _short(match[2])
        elif (match := _INSTALL_FAILED.search(message)) and match[1] in kinds:
            broken[kinds[match[1]]] = _short(setups[-1] if setups else match[2])
    return refused, broken


def _messages(text: str) -> list[str]:
    starts = [match.start() for match in _LINE.finditer(text)]
    return [text[start:end] for start, end in pairwise([*starts, len(text)])]


def _short(error: str) -> str:
    return one_line(error.removeprefix("Node Launch Exception ").strip(), 300)
