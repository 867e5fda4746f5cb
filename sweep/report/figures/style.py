"""How figures look: type and line widths at the size that they are printed at, equal bytes for equal figures."""

import importlib
import os
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sweep.report.figures.palette import GRID, INK, MUTED, Look
from sweep.report.figures.pdf_fonts import FAMILY, quick_family
from sweep.report.names import figure_title
from sweep.report.options import DEFAULT, ReportOptions

if TYPE_CHECKING:  # matplotlib takes half a second to import: only figures pay for it
    from matplotlib.figure import Figure

DOTTED: Any = (0, (1, 1.6))
ABOVE = 1.0  # the y of titles; unless it is given matplotlib looks for it in every drawing, for a fifth of the time
WIDTH = 7.4  # inches of a figure whose width nobody asks for

_LINE, _PRINTED_LINE = 1.9, 1.25  # points; other widths and marks follow
_LARGER = {"*": 1.6, "P": 1.2, "X": 1.2, "d": 1.2}  # markers of little area
_TYPE = {  # rc parameter -> size in points: on a page of the web, and at the size of a figure in print
    "font.size": (9.5, 8),
    "figure.titlesize": (11, 8),
    "figure.labelsize": (10, 8),
    "axes.titlesize": (9.5, 8),
    "axes.labelsize": (10, 8),
    "xtick.labelsize": (9.5, 7),
    "ytick.labelsize": (9.5, 7),
    "legend.fontsize": (8.5, 7),
}
_SETTINGS = {
    "font.family": "sans-serif",
    "font.sans-serif": [FAMILY, "Verdana", "Arial", "Helvetica"],  # the others are for viewers of an SVG that lack it
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "text.color": INK,
    "text.parse_math": False,  # a "$" in a name is a "$"
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "xtick.major.width": 0.8,
    "ytick.major.width": 0.8,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "svg.hashsalt": "sweep",  # else ids in the SVG are random
    "svg.fonttype": "none",  # text as text, in both
    "pdf.fonttype": 42,
}


@contextmanager
def styled(options: ReportOptions = DEFAULT) -> Iterator[None]:
    """Draw inside: matplotlib's settings are as before afterwards. Of a figure whose width is given, type is 7–8 pt."""
    printed = options.width_inches is not None
    sizes = {name: pair[printed] for name, pair in _TYPE.items()}
    settings = _SETTINGS | sizes | {"lines.linewidth": _PRINTED_LINE if printed else _LINE}
    with _matplotlib().style.context(["default", settings]):  # whatever the user's own matplotlibrc says
        yield


def small() -> float:
    """The size of the smallest type, in points."""
    return float(_matplotlib().rcParams["legend.fontsize"])


def thick(width: float) -> float:
    """A line's width or a marker's diameter: given as on a page of the web, returned as it is to be drawn."""
    return width * float(_matplotlib().rcParams["lines.linewidth"]) / _LINE


def width(options: ReportOptions) -> float:
    """Inches of a figure."""
    return options.width_inches or WIDTH


def tick_size() -> float:
    """The size of tick labels, in points."""
    return float(_matplotlib().rcParams["xtick.labelsize"])


def title_size() -> float:
    """The size of a figure's title, in points."""
    return float(_matplotlib().rcParams["figure.titlesize"])


def title_characters(options: ReportOptions) -> int:
    """Characters in a line of a title."""
    return int(72 * (width(options) - 0.7) / (0.66 * title_size()))


def draw_title(figure: "Figure", title: str, options: ReportOptions) -> None:
    """The title of a figure of several plots, where figures have one."""
    if options.title:
        figure.suptitle(figure_title(title, title_characters(options)), x=0.01, ha="left", fontweight="bold")


def wrapped(label: str, inches: float) -> str:
    """The label of an axis in lines that fit a figure so wide."""
    size = float(_matplotlib().rcParams["axes.labelsize"])
    return textwrap.fill(label, int(72 * (inches - 0.5) / (0.54 * size)))


def crowding(inches: float) -> float:
    """How much less room tick labels have than on a page of the web."""
    ratio = tick_size() / _TYPE["xtick.labelsize"][0] * WIDTH / inches
    return 1.25 * ratio if ratio > 1 else 1.0


def new_figure(size: tuple[float, float]) -> "Figure":
    """An empty figure of ``size``, width and height in inches, with a layout that leaves room for its labels."""
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout="constrained")


def mean_mark(look: Look, size: float = 6.0) -> dict[str, Any]:
    """How ``plot`` marks a mean."""
    return {**look.mark, "markersize": thick(size * _LARGER.get(look.marker, 1.0)), "markeredgewidth": thick(0.7)}


def dots(look: Look, size: float = 3.4) -> dict[str, Any]:
    """How ``scatter`` draws runs that trained: small, in the method's colour."""
    edge = look.colour if look.face != look.colour else "none"
    return {"s": thick(size) ** 2, "marker": "o", "facecolors": look.face, "edgecolors": edge, "linewidths": thick(0.5)}


def ring() -> dict[str, Any]:
    """How ``scatter`` circles a run that split its batches."""
    return {"s": thick(7.7) ** 2, "facecolors": "none", "edgecolors": INK, "linewidths": thick(1.0), "gid": "pieces"}


def ring_entry() -> dict[str, Any]:
    """The same in a legend."""
    return {"marker": "o", "markersize": thick(7.7), "markerfacecolor": "none", "markeredgecolor": INK}


def cross(many: int = 0) -> dict[str, Any]:
    """How ``scatter`` draws a run at chance, or a layer with nothing left; smaller where there are many."""
    return {"s": thick(5.1 if many <= 24 else 3.5) ** 2, "marker": "x", "linewidths": thick(1.3)}


def stroke(many: int = 0) -> dict[str, Any]:
    """How ``scatter`` draws where a layer's density started; narrower where there are many."""
    return {"s": thick(7.7 if many <= 24 else 4) ** 2, "marker": "_", "linewidths": thick(1.2), "color": INK}


def xy(points: Sequence[tuple[float, float]]) -> np.ndarray:
    """Points as ``scatter`` takes them soonest: an array of all x and one of all y. It walks through lists twice."""
    return np.asarray(points, float).T


def save(figure: "Figure", stem: Path, note: str = "") -> list[Path]:
    """Write ``stem.png``, ``stem.svg`` and ``stem.pdf``: equal bytes for equal figures.

    By their canvases: ``savefig`` would draw every figure once more, only to lay it out. The layout is computed once.

    Args:
        figure: as it was drawn.
        stem: of the files.
        note: stands below the figure.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    png, svg, pdf = (Path(f"{stem}.{kind}") for kind in ("png", "svg", "pdf"))
    if note:
        _add_below(figure, note)
    canvas, dpi, layout = figure.canvas, figure.dpi, figure.get_layout_engine()
    with styled():
        figure.set(dpi=200 if figure.get_figwidth() > 5 else 300, facecolor="white")
        FigureCanvasAgg(figure).print_png(png, metadata={"Software": None})
        figure.set_layout_engine("none")
        FigureCanvasSVG(figure).print_svg(svg, metadata={"Date": None, "Creator": None})
        with _matplotlib().rc_context({"font.sans-serif": [quick_family(), FAMILY]}):
            FigureCanvasPdf(figure).print_pdf(pdf, metadata={"CreationDate": None, "Creator": None, "Producer": None})
    figure.set(canvas=canvas, dpi=dpi, layout_engine=layout)
    return [png, svg, pdf]


def _add_below(figure: "Figure", note: str) -> None:
    """Make a figure higher by a line of small type; what was drawn keeps its place."""
    width, height = figure.get_size_inches()
    size = 7.0
    room = 2 * size / 72
    figure.set_size_inches(width, height + room)
    if (layout := figure.get_layout_engine()) is not None:
        layout.set(rect=(0, room / (height + room), 1, height / (height + room)))  # type: ignore[call-arg]
    at = 0.5 * size / 72
    figure.text(at / width, at / (height + room), note, fontsize=size, color=INK, in_layout=False, gid="below")


def _matplotlib() -> Any:
    """matplotlib with its styles, whatever MPLBACKEND names: figures are drawn by their canvases, without a backend.

    A notebook names one to its child processes too, and matplotlib refuses to be imported where that is not installed.
    """
    if "matplotlib" not in sys.modules and (backend := os.environ.pop("MPLBACKEND", None)) is not None:
        try:
            import matplotlib
        finally:
            os.environ["MPLBACKEND"] = backend
        with suppress(ValueError):  # not installed; else as matplotlib would have set it
            matplotlib.rcParams["backend"] = backend
    import matplotlib.style

    if "IPython" in sys.modules:  # possibly half imported by another thread, such as MLflow's: matplotlib looks into it
        with suppress(ImportError):
            importlib.import_module("IPython")  # waits until it is whole
    return matplotlib
