"""The section of one panel: findings, figures, tables."""

from collections.abc import Iterator, Sequence

from sweep.report.analysis import PanelAnalysis
from sweep.report.figures import FIGURES, WrittenFigure
from sweep.report.page.findings import findings, remarks
from sweep.report.page.images import Image, Room
from sweep.report.page.page import PanelSection, Part
from sweep.report.summary import SECTIONS, Section, cut_names, what_was_run
from sweep.report.table import Table
from sweep.report.trials import Panel

_RECIPE = ("network", "epochs", "seeds", "chance", "**in pieces**", "**in conflict**", "**not alike**")


def panel_sections(drawn: Sequence[tuple[PanelAnalysis, Sequence[WrittenFigure]]]) -> list[PanelSection]:
    """The section of each panel with its figures. Unfolded figures have room on the page first, then the others."""
    room = Room()
    unfolded = [[_image(room, one.panel, figure) for figure in _of(figures, "")] for one, figures in drawn]
    return [
        PanelSection(
            anchor=f"panel-{number}",
            title=one.panel.title,
            recipe=_recipe(one.panel),
            findings=findings(one.comparisons),
            remarks=remarks(one.comparisons),
            images=images,
            tables=_tables(SECTIONS[0], one),
            parts=list(_parts(room, one, figures)),
        )
        for number, ((one, figures), images) in enumerate(zip(drawn, unfolded, strict=True), start=1)
    ]


def _recipe(panel: Panel) -> str:
    """What was run, in one line."""
    known = what_was_run(panel)
    return "; ".join(f"{name.strip('*')}: {known[name]}" for name in _RECIPE if known.get(name)) + "."


def _parts(room: Room, one: PanelAnalysis, figures: Sequence[WrittenFigure]) -> Iterator[Part]:
    """The sections of ``summary.md`` but the first: those with tables, then those of figures alone."""
    for section in SECTIONS[1:]:
        images = [_image(room, one.panel, figure) for figure in _of(figures, section.heading)]
        tables = _tables(section, one)
        if images or tables:
            yield Part(section.heading, images, tables)
    with_table = {section.heading for section in SECTIONS}
    for heading in dict.fromkeys(figure.section for figure in FIGURES if figure.section not in with_table):
        if images := [_image(room, one.panel, figure) for figure in _of(figures, heading)]:
            yield Part(heading, images, [])
    if figures and (lines := cut_names(one.panel)):
        yield Part("Names that the figures cut", [], [], lines)


def _tables(section: Section, one: PanelAnalysis) -> list[Table]:
    return [table for table in section.tables(one) if table.rows or table.notes]


def _of(figures: Sequence[WrittenFigure], heading: str) -> list[WrittenFigure]:
    return [figure for figure in figures if figure.kind.section == heading]


def _image(room: Room, panel: Panel, figure: WrittenFigure) -> Image:
    alt = f"{figure.description or 'Test accuracy against sparsity'}: {panel.title}"
    return room.image(figure.paths, alt, figure.kind.note)
