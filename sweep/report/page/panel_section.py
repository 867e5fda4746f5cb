"""The section of one panel: findings, figures, tables."""

from collections.abc import Iterator, Sequence

from sweep.report.comparisons import Comparisons
from sweep.report.figures import FIGURES, WrittenFigure
from sweep.report.page.findings import findings, remarks
from sweep.report.page.images import Image, Room
from sweep.report.page.page import CaptionedTable, PanelSection, Part
from sweep.report.summary import SECTIONS, what_was_run
from sweep.report.tables import CAPTION, accuracy_table
from sweep.report.trials import Panel

_RECIPE = ("network", "epochs", "seeds", "chance", "**in pieces**", "**not alike**")


def panel_sections(drawn: Sequence[tuple[Comparisons, Sequence[WrittenFigure]]]) -> list[PanelSection]:
    """The section of each panel with its figures. Unfolded figures have room on the page first, then the others."""
    room = Room()
    unfolded = [[_image(room, compared.panel, figure) for figure in _of(figures, "")] for compared, figures in drawn]
    return [
        PanelSection(
            anchor=f"panel-{number}",
            title=compared.panel.title,
            recipe=_recipe(compared.panel),
            findings=findings(compared),
            remarks=remarks(compared),
            images=images,
            tables=[CaptionedTable(accuracy_table(compared.panel), CAPTION)],
            parts=list(_parts(room, compared.panel, figures)),
        )
        for number, ((compared, figures), images) in enumerate(zip(drawn, unfolded, strict=True), start=1)
    ]


def _recipe(panel: Panel) -> str:
    """What was run, in one line."""
    known = what_was_run(panel)
    return "; ".join(f"{name.strip('*')}: {known[name]}" for name in _RECIPE if known.get(name)) + "."


def _parts(room: Room, panel: Panel, figures: Sequence[WrittenFigure]) -> Iterator[Part]:
    """The sections of ``summary.md``: those with a table, then those of figures alone."""
    for section in SECTIONS:
        images = [_image(room, panel, figure) for figure in _of(figures, section.heading)]
        table = section.table(panel)
        tables = [CaptionedTable(table, section.caption(panel))] if table.rows else []
        if images or tables:
            yield Part(section.heading, images, tables)
    with_table = {"", *(section.heading for section in SECTIONS)}
    for heading in dict.fromkeys(figure.section for figure in FIGURES if figure.section not in with_table):
        if images := [_image(room, panel, figure) for figure in _of(figures, heading)]:
            yield Part(heading, images, [])


def _of(figures: Sequence[WrittenFigure], heading: str) -> list[WrittenFigure]:
    return [figure for figure in figures if figure.kind.section == heading]


def _image(room: Room, panel: Panel, figure: WrittenFigure) -> Image:
    alt = f"{figure.description or 'Test accuracy against sparsity'}: {panel.title}"
    return room.image(figure.paths, alt, figure.kind.note)
