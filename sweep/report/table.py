"""A table for people: rows of entries under a header, with a title and notes."""

from dataclasses import dataclass

UNKNOWN = "–"  # in a table; in a CSV the field is empty


@dataclass(frozen=True)
class TableEntry:
    """One entry as text; ``best`` is printed bold."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Table:
    """A table for people: a title, notes above it (the dense accuracy), a header, and rows of entries.

    Attributes:
        caption: what the numbers are; in files, not on a terminal.
        name: part of file names, of ``a-z`` and ``-``.
        texts: number of columns, from the left, that are texts; all others are numbers.
    """

    title: str
    notes: tuple[str, ...]
    header: tuple[str, ...]
    rows: tuple[tuple[TableEntry, ...], ...]
    caption: str = ""
    name: str = ""
    texts: int = 1

    def markdown(self) -> str:
        """As Markdown without title and caption; the best entries are bold."""
        marks = [":--"] * self.texts + ["--:"] * (len(self.header) - self.texts)
        lines = [
            self.header,
            marks,
            *([f"**{e.text}**" if e.best else e.text for e in row] for row in self.rows),
        ]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return "\n\n".join([*self.notes, table] if self.rows else self.notes)
