"""Write the pages that are made from the code: ``make docs``, or ``python -m docs.generate``.

A test writes them again and compares, so that no option and no key is missing or out of date.
"""

import dataclasses
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import click

from pruning.config import PruneConfig
from pruning.docstrings import attributes
from sweep.cli import main
from sweep.cli.print import columns_page, methods_page, tables_page
from sweep.cli.print.markdown import block, first_line, prose, sentence, table
from sweep.config.axes import Choice
from sweep.config.combinations import Grid
from sweep.config.compute import Compute
from sweep.config.config import SweepConfig, Tracking
from training.config import DataConfig, TrainConfig

FOLDER = Path(__file__).parent
CLI = """\
# The commands

Written by `make docs` from the commands in [`sweep/cli/`](../sweep/cli); a test compares. On a terminal,
`sweep COMMAND --help` prints the same.
"""
CONFIG = """\
# The keys of a YAML

Written by `make docs` from the classes that read a config; a test compares. `--set KEY=VALUE` overrides any key:
`--set grid.seed=0,1,2 --set training.epochs=10`. For an unknown key or a value of the wrong kind, the error names the
line and the nearest valid key.

The column *id* says whether a key is part of a trial's id. If it is, a trial with another value is another trial, with
its own results. "if changed" means: only values other than the default are part of the id.
"""
SECTIONS = {
    "data": DataConfig,
    "grid": Grid,
    "pruning": PruneConfig,
    "training": TrainConfig,
    "compute": Compute,
    "tracking": Tracking,
}
IN_THE_ID = ("data", "grid", "pruning", "training")
KINDS = {str: "text", int: "whole number", float: "number", bool: "true or false", Choice: "name, or mapping"}


def cli_page() -> str:
    """Every command with its arguments, options and examples."""
    return "\n".join([CLI, *_commands(main, "sweep")])


def _commands(group: click.Group, path: str) -> Iterator[str]:
    for name in group.list_commands(click.Context(group)):
        command = group.commands[name]
        if isinstance(command, click.Group):
            yield from _commands(command, f"{path} {name}")
        else:
            yield from _command(command, f"{path} {name}")


def _command(command: click.Command, path: str) -> Iterator[str]:
    arguments = [p for p in command.params if isinstance(p, click.Argument)]
    options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
    usage = [path, *(["[OPTIONS]"] if options else []), *map(_argument, arguments)]
    yield f"## `{path}`\n"
    yield f"```text\n{' '.join(usage)}\n```\n"
    yield from _blocks(command.help)
    if options:
        yield table(("option", "meaning"), [(_names(option), _meaning(option)) for option in options])
    yield from _blocks(command.epilog)


def _argument(argument: click.Argument) -> str:
    if isinstance(argument.type, click.Choice):
        return "|".join(argument.type.choices)
    name = argument.metavar or (argument.name or "").upper()
    return name if argument.required or name.startswith("[") else f"[{name}]"


def _names(option: click.Option) -> str:
    value = "" if option.is_flag else f" {option.metavar or option.type.name.upper().replace(' RANGE', '')}"
    return f"`{', '.join(sorted(option.opts, key=len))}{value}`"


def _meaning(option: click.Option) -> str:
    text = prose(option.help or "")
    if option.show_default:
        text += f" [default: {option.default}]"
    return f"{text} May be repeated." if option.multiple else text


def _blocks(text: str | None) -> Iterator[str]:
    """The paragraphs of a help text; one after ``\b`` keeps its lines."""
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text or "")):
        if paragraph.startswith("\b\n"):
            head, _, rest = paragraph.removeprefix("\b\n").partition("\n")
            listed = textwrap.dedent(rest)
            yield f"{head}\n\n```console\n{listed}\n```\n" if head.endswith(":") else f"{paragraph[2:]}\n"
        elif paragraph:
            yield block(paragraph)


def config_page() -> str:
    """Every key of a config with its kind, default and meaning."""
    parts = [CONFIG, "## The sections\n", _keys(SweepConfig, "")]
    for name, section in SECTIONS.items():
        parts += [f"## `{name}`\n", block(first_line(section)), _keys(section, name)]
    return "\n".join(parts)


def _keys(section: type, name: str) -> str:
    kinds, meaning = get_type_hints(section), attributes(section, "Attributes")
    rows = []
    for field in dataclasses.fields(section):
        text = sentence(meaning[field.name])
        linked = f"[`{field.name}`](#{field.name})" if not name and field.name in SECTIONS else f"`{field.name}`"
        rows.append((linked, _kind(kinds[field.name]), _default(field, name), _id(field, name), text))
    return table(("key", "value", "default", "id", "meaning"), rows)


def _kind(hint: Any) -> str:
    if hint in KINDS:
        return KINDS[hint]
    if dataclasses.is_dataclass(hint):
        return "mapping"
    inner = [one for one in get_args(hint) if one not in (type(None), Ellipsis)]
    if get_origin(hint) is Literal:
        return ", ".join(f"`{choice}`" for choice in inner)
    if get_origin(hint) is tuple:
        return f"list of: {_kind(inner[0])}"
    return " or ".join(map(_kind, inner))


def _default(field: dataclasses.Field[Any], section: str) -> str:
    if (section, field.name) == ("", "name"):
        return "the file's name"
    if field.default is dataclasses.MISSING:
        return "required" if field.default_factory is dataclasses.MISSING else "as below"
    if field.default in (None, ()):
        return "–"
    value = field.default[0] if isinstance(field.default, tuple) else field.default
    return f"`{methods_page.shown(value)}`"


def _id(field: dataclasses.Field[Any], section: str) -> str:
    if section not in IN_THE_ID:
        return "" if section == "" and field.name in IN_THE_ID else "no"
    if field.name == "ablation":  # TrialConfig.identity leaves "none" out
        return "if changed"
    return {True: "yes", False: "no", "unless default": "if changed"}[field.metadata.get("identity", True)]


PAGES: dict[str, Callable[[], str]] = {
    "methods.md": methods_page.page,
    "cli.md": cli_page,
    "config.md": config_page,
    "report-columns.md": columns_page.page,
    "tables.md": tables_page.page,
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")
