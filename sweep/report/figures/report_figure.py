"""What a figure of the report declares about itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sweep.report.figures.stored_masks import StoredMasks
from sweep.report.figures.stored_records import StoredRecords
from sweep.report.options import ReportOptions
from sweep.report.trials import Panel, StoredRows
from sweep.text import percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Stored(NamedTuple):
    """What the records of a panel leave out, read when a figure first needs it.

    Attributes:
        rows: every column of the trials, the rounds among them.
        masks: kept weights by layer.
        bits: masks with their bits.
        epochs: one row an epoch.
    """

    rows: StoredRows
    masks: StoredMasks
    bits: StoredRecords
    epochs: StoredRecords


class Drawing(NamedTuple):
    """A drawn figure of a panel that may have several.

    Attributes:
        suffix: the end of its file names.
        shows: the end of its description: ``at 99%``.
    """

    figure: "Figure"
    suffix: str = ""
    shows: str = ""

    @classmethod
    def at(cls, sparsity: float, figure: "Figure") -> "Drawing":
        """The figure of one sparsity."""
        return cls(figure, percent(sparsity).rstrip("%"), f"at {percent(sparsity)}")


@dataclass(frozen=True)
class ReportFigure:
    """One kind of figure, drawn for every panel that has its numbers.

    Attributes:
        name: its files are ``NAME-PANEL.png`` and ``.svg``.
        draw: the figures of one panel; none where the panel's trials lack what it shows.
        shows: its description in ``summary.md``, after the panel's title.
        section: the heading in ``summary.md`` that it stands under; empty: above the table of accuracies.
        every_method: whether it is passed the methods that ``--methods`` leaves out too, as references.
        note: a paragraph under it, where the table of that section does not explain it.
    """

    name: str
    draw: Callable[[Panel, Stored, ReportOptions], Sequence[Drawing]]
    shows: str = ""
    section: str = ""
    note: str = ""
    every_method: bool = False


class WrittenFigure(NamedTuple):
    """The files of one figure of a panel.

    Attributes:
        shows: the end of its description, where a panel may have several.
        paths: the PNG first.
    """

    kind: ReportFigure
    shows: str
    paths: tuple[Path, ...]

    @property
    def description(self) -> str:
        """``Density by layer at 99%``; empty for the figure that needs none."""
        return " ".join(filter(None, (self.kind.shows, self.shows)))
