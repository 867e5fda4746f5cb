"""The command that asks stores in SQL."""

import contextlib
import os
import re
import sys
import uuid
from pathlib import Path

import click

from sweep.cli.common import examples, existing
from sweep.cli.root import main
from sweep.errors import InputError

FORMATS = {  # the ending of --out that stands for each
    "table": ".txt", "csv": ".csv", "json": ".json", "parquet": ".parquet", "markdown": ".md", "latex": ".tex",
}  # fmt: skip
_STDIN = "-"


class _QueryCommand(click.Command):
    """Takes an argument that begins with a comment of SQL for SQL, not for an option: no option has a space or line."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Put such an argument behind the mark ``--`` that ends the options."""
        if "--" in args:
            return super().parse_args(context, args)
        sql = [argument for argument in args if re.match(r"--(\s|[^\s=]+\s)", argument)]
        others = [argument for argument in args if argument not in sql]
        return super().parse_args(context, [*others, "--", *sql] if sql else args)


@main.command(cls=_QueryCommand, section="Look", short_help="Ask stores in SQL.", epilog=examples(
    'sweep query "select method_name, sparsity, avg(test_accuracy) from trials group by all"',
    "sweep query \"from trials where status = 'failed'\" --format json",
    "sweep query --file best.sql --sweep digits --out best.tex",
    'sweep query "select count(*) from trials" --store results --store s3://bucket/sweeps',
    "sweep query --schema",
))  # fmt: skip
@click.argument("sql", required=False, metavar="[SQL]")
@click.option("--file", type=click.Path(), help="Read the SQL from this file. - is standard input, as it is for SQL.")
@click.option("--store", "stores", multiple=True, help="Folder or URI of a store.  [default: results]")
@click.option("--sweep", "name", help="Only the trials of the sweep of this name.")
@click.option(
    "--format", "form", type=click.Choice([*FORMATS]), metavar="FORMAT",
    help=f"How to write the rows: {', '.join(FORMATS)}.  [default: by the ending of --out, else table]",
)  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Write the rows to this file.")
@click.option("--force", is_flag=True, help="Replace the file of --out if it exists.")
@click.option("--schema", is_flag=True, help="List the views with their columns, types and meanings.")
def query(
    sql: str | None, file: str | None, stores: tuple[str, ...], name: str | None, form: str | None, out: Path | None,
    force: bool, schema: bool,
) -> None:  # fmt: skip
    """Ask stores in SQL: one SELECT over the views trials, epochs, layers, masks and rounds.

    The view trials has one row a trial: of one that was run again, the outcome that counts. A trial may belong to
    several sweeps; the list sweeps has their names. If a store has several data sets or networks, group by data_name
    and architecture_name too.

    The SQL is DuckDB's. It only reads: it reaches no file and changes nothing. Values are never shortened: on a
    terminal that is too narrow for the rows, every column takes a line.
    """
    form = form or _form_of(out)
    if schema:
        if sql or file:
            raise InputError("--schema lists what SQL may name, and takes no SQL")
        _check_out(out, force)
        _print_schema(form, out)
        return
    text = _sql(sql, file)
    opened = [existing(uri) for uri in stores or (None,)]
    _check_out(out, force, [store.local for store in opened if store.local is not None])
    if form == "parquet" and out is None and _is_terminal():
        raise InputError("--format parquet: a terminal cannot show it; name a file with --out")
    from sweep.query import Tables
    from sweep.query.formats import encoded

    rows = Tables(opened, name, warn=lambda message: click.echo(message, err=True)).sql(text)
    _write(encoded(rows, form, _width(out)), out)
    if not len(rows):
        click.echo("no rows", err=True)


def _print_schema(form: str, out: Path | None) -> None:
    from sweep.cli.print import schema
    from sweep.query.formats import encoded

    if form == "table":
        _write(schema.text(_width(out)).encode(), out)
    else:
        _write(encoded(schema.rows(), form), out)


def _form_of(out: Path | None) -> str:
    if out is None:
        return "table"
    forms = {ending: form for form, ending in FORMATS.items()}
    if out.suffix not in forms:
        raise InputError(f"--out {out}: the ending names no format ({', '.join(forms)}); name one with --format")
    return forms[out.suffix]


def _check_out(out: Path | None, force: bool, stores: list[Path] | None = None) -> None:
    """Before the work: whether the file may be written."""
    if out is None:
        return
    if out.is_dir():
        raise InputError(f"--out {out} is a folder; name a file in it")
    if not out.parent.is_dir():
        raise InputError(f"--out {out}: there is no folder {out.parent}")
    if out.exists() and not force:
        raise InputError(f"--out: {out} exists; --force replaces it, another --out keeps it")
    place = Path(os.path.realpath(out))
    for store in stores or ():
        records = Path(os.path.realpath(store))
        if records in place.parents and place.relative_to(records).parts[0] != "reports":
            raise InputError(f"--out {out} lies in the store {store}; name a file elsewhere, or in its reports/")


def _sql(sql: str | None, file: str | None) -> str:
    if sql is not None and file is not None:
        raise InputError("give the SQL as an argument or in --file, not both")
    if sql is None and file is None:
        raise InputError('query: no SQL; for example: sweep query "select count(*) from trials"')
    if _STDIN in (sql, file):
        return sys.stdin.read()
    if file is None:
        return sql or ""
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--file {file}: {getattr(error, 'strerror', None) or 'this is no text in UTF-8'}") from None


def _is_terminal() -> bool:
    return sys.stdout.isatty()


def _width(out: Path | None) -> int | None:
    """The terminal's width; None if the rows go elsewhere."""
    from sweep.cli.print.console import make_console

    return make_console().width if out is None and _is_terminal() else None


def _write(data: bytes, out: Path | None) -> None:
    if out is None:
        click.echo(data, nl=False)
        return
    temporary = out.with_name(f".{out.name}.{uuid.uuid4().hex}.tmp")
    try:
        temporary.write_bytes(data)
        temporary.replace(out)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise InputError(f"--out {out}: {error.strerror}") from None
