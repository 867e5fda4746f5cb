"""Tables for a terminal of any width: nothing in them is ever cut."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from sweep.report.table import Table

_GAP = 2  # spaces between columns
_LONGEST_WORD = 32  # of prose that stays on one line: hashes are continued on the next


class Fitting:
    """A table that fits its terminal: whole, else in pieces that repeat the first column, else a line for each entry.

    Args:
        header: names of the columns; all empty: no header.
        rows: the entries.
        right: indices of columns that are aligned right.
        prose: indices of columns whose text may be broken into lines between words.
    """

    def __init__(
        self,
        header: Sequence[str],
        rows: Sequence[Sequence[Text]],
        right: Collection[int] = (),
        prose: Collection[int] = (),
    ):
        self._header, self._rows, self._right, self._prose = header, rows, right, prose

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """The table as rich draws it."""
        pieces = self._pieces(options.max_width)
        if pieces is None:
            yield from self._stacked()
            return
        for number, piece in enumerate(pieces):
            if number:
                yield Text()
            yield self._table(piece)

    def _width(self, column: int) -> int:
        """The room that a column needs: of prose, that of its longest word or 32, and 24 at least."""
        texts = [Text(self._header[column]), *(row[column] for row in self._rows)]
        if column in self._prose:
            words = max((len(word) for text in texts for word in text.plain.split()), default=0)
            return max(min(words, _LONGEST_WORD), min(24, max(text.cell_len for text in texts)))
        return max(text.cell_len for text in texts)

    def _pieces(self, width: int) -> list[list[int]] | None:
        """The columns of each piece; None where the first column and another have no room side by side."""
        widths = [self._width(column) for column in range(len(self._header))]
        pieces, room = [[0]], width - widths[0]
        for column, needed in enumerate(widths[1:], start=1):
            if widths[0] + _GAP + needed > width:
                return None
            if needed + _GAP > room:
                pieces.append([0])
                room = width - widths[0]
            pieces[-1].append(column)
            room -= needed + _GAP
        return pieces if widths[0] <= width else None

    def _table(self, columns: Sequence[int]) -> RichTable:
        table = RichTable(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), show_header=any(self._header))
        for column in columns:
            table.add_column(
                Text(self._header[column]),
                justify="right" if column in self._right else "left",
                no_wrap=column not in self._prose,
                overflow="fold",
            )
        for row in self._rows:
            table.add_row(*(row[column] for column in columns))
        return table

    def _stacked(self) -> Iterator[Text]:
        for row in self._rows:
            yield Text(row[0].plain, style="bold", overflow="fold")
            for name, entry in zip(self._header[1:], row[1:], strict=True):
                if entry.plain:
                    yield Text.assemble("  ", f"{name}: " if name else "", entry, overflow="fold")


def render(table: Table) -> Group:
    """Title, notes and rows for a rich console; the best of every sparsity is bold."""
    rows = [[Text(entry.text, style="bold" if entry.best else "") for entry in row] for row in table.rows]
    body = Fitting(table.header, rows, right=range(1, len(table.header)))
    heading = Text(table.title, style="bold")
    return Group(heading, *(Text(note) for note in table.notes), *([body] if table.rows else []))


def columns(rows: Sequence[Mapping[str, Any]], names: Sequence[str], prose: Collection[str] = ()) -> Fitting:
    """The keys ``names`` of some rows as a plain table, numbers aligned right."""
    right = [i for i, name in enumerate(names) if rows and isinstance(rows[0][name], (int, float))]
    texts = [[Text(_cell(row[name])) for name in names] for row in rows]
    broken = [i for i, name in enumerate(names) if name in prose]
    return Fitting([name.replace("_", " ") for name in names], texts, right, broken)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return "×".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
