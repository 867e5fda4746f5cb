"""What a figure of the report declares about itself."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from sweep.report.figures.stored_masks import StoredMasks
from sweep.report.trials import Panel, StoredRows

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Stored(NamedTuple):
    """What the records of a panel leave out, read when a figure first needs it.

    Attributes:
        rows: every column of the trials, the rounds among them.
        masks: kept weights by layer.
    """

    rows: StoredRows
    masks: StoredMasks


class Drawing(NamedTuple):
    """A drawn figure, and the end of its file names where one panel could have several."""

    figure: "Figure"
    suffix: str = ""


@dataclass(frozen=True)
class ReportFigure:
    """One kind of figure, drawn for every panel that has its numbers.

    Attributes:
        name: its files are ``NAME-PANEL.png`` and ``.svg``.
        draw: the figure of one panel; None where the panel's trials lack what it shows.
        shows: its description in ``summary.md``, after the panel's title.
        section: the heading in ``summary.md`` that it stands under; empty: above the table of accuracies.
        note: a paragraph under it, where the table of that section does not explain it.
    """

    name: str
    draw: Callable[[Panel, Stored], Drawing | None]
    shows: str = ""
    section: str = ""
    note: str = ""
