"""The page's content and its text: one HTML file that asks for nothing else.

The script and the style stand in the file; a policy within it allows these two, by their hashes, and images from data
URIs, so that no text of a record can run or request anything. The template escapes every text.
"""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import jinja2
from markupsafe import Markup

from sweep.report.page.failed_trials import FailedTrials
from sweep.report.page.findings import Finding
from sweep.report.page.images import Image
from sweep.report.page.provenance import SweepConfigText
from sweep.report.page.trial_rows import TrialColumn
from sweep.report.summary import CONFLICTS, REMARKS
from sweep.report.table import Table


@dataclass(frozen=True)
class Part:
    """A part of a panel that is folded: figures, tables and lines of a list under a heading."""

    heading: str
    images: Sequence[Image]
    tables: Sequence[Table]
    lines: Sequence[str] = ()


@dataclass(frozen=True)
class PanelSection:
    """What the page says of one panel.

    Attributes:
        anchor: the section's id within the page.
        recipe: what was run, in one line.
        findings: sentences by sparsity.
        remarks: what the reader must know of the sentences.
        images: figures that are not folded.
        tables: tables that are not folded.
        parts: what is folded.
    """

    anchor: str
    title: str
    recipe: str
    findings: Sequence[Finding]
    remarks: Sequence[str]
    images: Sequence[Image]
    tables: Sequence[Table]
    parts: Sequence[Part]


@dataclass(frozen=True)
class Page:
    """All that the page shows, as text and tables.

    Attributes:
        lead: a sentence on what was run and how far it is.
        written: a sentence on when the page was written, and of which store.
        reload_seconds: after these the page loads itself again; None: never.
        tiles: a few numbers, by name.
        over_cells: methods over all panels; None: there are too few to compare them.
        conflicts: lines on trials with several results.
        mask_remarks: lines on masks that equal scores or rounding decided.
        nothing: why there is no result; only shown where there is no panel with one.
        columns: of the table of trials.
        trial_data: their values, as JSON for a script element.
        no_failures: a sentence for where ``failures`` is empty.
        plan: sentences on how far the plans of the sweeps were off.
        facts: where the numbers come from, by name.
    """

    heading: str
    lead: str
    written: str
    reload_seconds: int | None
    tiles: Mapping[str, str]
    panels: Sequence[PanelSection]
    over_cells: Table | None
    mask_remarks: Sequence[str]
    conflicts: Sequence[str]
    nothing: str
    columns: Sequence[TrialColumn]
    trial_data: str
    failures: Sequence[FailedTrials]
    no_failures: str
    cost: Table
    plan: Sequence[str]
    facts: Mapping[str, str]
    configs: Sequence[SweepConfigText]

    @property
    def contents(self) -> dict[str, str]:
        """Anchor -> heading of every section."""
        sections = {panel.anchor: panel.title for panel in self.panels}
        if self.over_cells is not None:
            sections["over-cells"] = "Over all cells"
        if self.mask_remarks:
            sections["masks"] = REMARKS
        if self.conflicts:
            sections["conflicts"] = CONFLICTS
        sections |= {"trials": "All trials", "failures": "Trials without a result"}
        if self.cost.rows:
            sections["cost"] = "Cost"
        return sections | {"provenance": "Where the numbers come from"}


def html(page: Page) -> str:
    """The page as HTML."""
    template, style, script = _files()
    return template.render(
        page=page,
        remarks_heading=REMARKS,
        conflicts_heading=CONFLICTS,
        style=Markup(style),
        script=Markup(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


@cache
def _files() -> tuple[jinja2.Template, str, str]:
    """The template, the style and the script."""
    folder = resources.files(__package__)
    template, style, script = (
        (folder / name).read_text(encoding="utf-8") for name in ("page.html", "style.css", "script.js")
    )
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["unbroken"] = _unbroken
    return environment.from_string(template), style, script


def _unbroken(text: str) -> str:
    """With spaces that no line ends at: in ``n = 3``, between a number and its unit, and within an interval."""
    text = re.sub(r" ([=<]) ", "\u00a0\\1\u00a0", text)
    return re.sub(
        r" (points?|seeds?|runs?)\b|(?<=\d), (?=[\d−.]+\])", lambda found: found[0].replace(" ", "\u00a0"), text
    )


def _hash(text: str) -> str:
    """As a Content-Security-Policy names a style or script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
