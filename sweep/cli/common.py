"""What commands share: options, examples in their help, and how errors are printed."""

import functools
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar, cast

import click

from sweep import streams
from sweep.errors import GpuError, InputError, StoreError
from sweep.text import redacted

if TYPE_CHECKING:
    from sweep.store import Store

F = TypeVar("F", bound=Callable[..., Any])
ORDER = (
    "launch", "plan", "stop", "cancel", "status", "failures", "retry", "trial", "masks", "report", "query", "export",
    "reproduce", "methods", "architectures", "verify", "compact", "merge", "sync", "ui", "completion",
)  # fmt: skip


SECTIONS = ("Run", "Look", "Fix", "Look up")  # of the help, in order


class CommandGroup(click.Group):
    """Commands in the order of use. Errors that the user can fix are one message and exit code 2.

    A command names its section of the help where it is declared: ``@main.command(section="Look", short_help=…)``.

    Attributes:
        sections: section of the help by command.
    """

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        self.sections: dict[str, str] = {}

    def command(self, *arguments: Any, section: str = "", **options: Any) -> Any:
        """As of click, with the section of the help that lists the command."""
        return self._in_section(super().command(*arguments, **options), section)

    def group(self, *arguments: Any, section: str = "", **options: Any) -> Any:
        """As of click, with the section of the help that lists the group."""
        return self._in_section(super().group(*arguments, **options), section)

    def _in_section(self, declare: Any, section: str) -> Callable[[Any], click.Command]:
        def declared(function: Any) -> click.Command:
            command: click.Command = declare(function)
            self.sections[command.name or ""] = section
            return command

        return declared

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by section, each with its whole short help."""
        names = self.list_commands(context)
        width = max(map(len, names), default=0)
        for section in (*SECTIONS, ""):
            found = [name for name in names if self.sections.get(name, "") == section]
            rows = [(name.ljust(width), self.commands[name].get_short_help_str(limit=1000)) for name in found]
            if rows:
                with formatter.section(section or "Commands"):
                    formatter.write_dl(rows)

    def list_commands(self, context: click.Context) -> list[str]:
        """In :data:`ORDER`; commands that it lacks follow, by name."""
        places = {name: place for place, name in enumerate(ORDER)}
        return sorted(self.commands, key=lambda name: (places.get(name, len(ORDER)), name))

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command line. A closed pipe or a full disk ends its output, not the command."""
        with streams.tolerant() as errors:
            result, code = None, None
            try:
                result = super().main(*args, **options)
            except SystemExit as ended:
                code = ended.code
        if errors:
            with suppress(OSError):
                click.echo(f"error: cannot write the output: {errors[0].strerror}", err=True)
            code = code or 1
        return result if code is None else sys.exit(code)

    def invoke(self, context: click.Context) -> Any:
        """Run a command and turn its errors into messages and exit codes."""
        try:
            return super().invoke(context)
        except InputError as error:
            _fail(str(error), 2)
        except (StoreError, GpuError) as error:
            _fail(f"{error}. What is in the store is safe; launching again goes on from there", 1)
        except KeyboardInterrupt:
            sys.exit(130)


def _fail(message: str, code: int) -> NoReturn:
    click.secho("error: ", fg="red", bold=True, nl=False, err=True)
    click.echo(redacted(message), err=True)
    sys.exit(code)


def announce(text: str) -> None:
    """Say at once, before slow imports, what begins; to a person at a terminal, not into a script's error output."""
    if sys.stderr.isatty():
        print(text, file=sys.stderr, flush=True)  # click's echo would write UTF-8 to a terminal that is ASCII


def examples(*lines: str) -> str:
    """The examples at the end of a command's help."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


CONFIG = click.argument("config", type=click.Path())  # or the name of a shipped one
STORE = click.option("--store", help="Folder or URI of the store.  [default: results, or the config's]")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")


SETTINGS = click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a key of the YAML: --set grid.seed=0,1,2."
)  # fmt: skip
QUICK = click.option(
    "--quick", is_flag=True,
    help="Only try it: two epochs on a tenth of the training images, stored apart in STORE-quick as NAME-quick.",
)  # fmt: skip
MAX_COST = click.option(
    "--max-cost", type=click.FloatRange(0, min_open=True), metavar="DOLLARS",
    help="Refuse if the trials that are left may cost more, at compute.dollars_per_hour.",
)  # fmt: skip
ADDRESS = click.option("--address", help="Join the Ray cluster at this address ('auto' on one of its machines).")
LOCAL = click.option("--local", is_flag=True, help="Run the trials in this process, one after another, without Ray.")


Jobs = int | Literal["auto"] | None


class _JobsType(click.IntRange):
    """A whole number of at least 1, or "auto"."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        """The number, or the word."""
        return value if value == "auto" else super().convert(value, parameter, context)


JOBS = click.option(
    "-j", "--jobs", type=_JobsType(1), metavar="N|auto",
    help="With --local: run N at once, each in a process of its own on this machine; auto: as many as its cores and"
    " GPUs have room for.  [default: 1]",
)  # fmt: skip


def STORES(command: F) -> F:
    """The argument ``[STORE]...``, and ``--store`` for the same: the command gets both as ``stores``."""

    @functools.wraps(command)
    def merged(*arguments: Any, stores: tuple[str, ...], named: tuple[str, ...], **options: Any) -> Any:
        return command(*arguments, stores=(*stores, *named), **options)

    argument = click.argument("stores", nargs=-1, metavar="[STORE]...")
    option = click.option("--store", "named", multiple=True, metavar="STORE", help="The same as the argument.")
    return cast(F, argument(option(merged)))


def with_store(settings: tuple[str, ...], store: str | None) -> tuple[str, ...]:
    """The settings of ``--set``, and those of ``--store``."""
    return settings if store is None else (*settings, f"store={json.dumps(store)}")


def open_store(store: str | None) -> "Store":
    """The store that ``--store`` names, or ``results``."""
    from sweep.store import Store

    return Store("results" if store is None else store)


def existing(store: str | None) -> "Store":
    """The store that ``--store`` names, or ``results``.

    Raises:
        InputError: there is no store.
    """
    opened = open_store(store)
    opened.check_exists()
    return opened
