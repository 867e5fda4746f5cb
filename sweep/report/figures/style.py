"""How figures look: one colour and marker a method in every figure, equal bytes for equal figures."""

import hashlib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sweep.report.names import registered_method, split_control

if TYPE_CHECKING:  # matplotlib takes half a second to import: only figures pay for it
    from matplotlib.figure import Figure

INK, MUTED, GRID = "#1a1a1a", "#6b6b6b", "#e4e4e4"
DOTTED: Any = (0, (1, 1.6))
RING: dict[str, Any] = {"s": 60, "facecolors": "none", "edgecolors": INK, "zorder": 4.5, "gid": "pieces"}
RING_ENTRY: dict[str, Any] = {"markersize": 8, "markerfacecolor": "none", "markeredgecolor": INK}  # in a legend
ABOVE = 1.0  # the y of titles; unless it is given matplotlib looks for it in every drawing, for a fifth of the time

# Methods have colours that people with any colour vision tell apart (after Okabe and Ito), and different markers.
_SPARE = ("#9e7bd1", "#b2df8a", "#a6761d", "#1b4f72", "#ff9896", "#66a61e")
_SPARE_MARKERS = ">8HPX"
_DASHES: tuple[Any, ...] = (
    "-",
    (0, (6, 1.6)),
    (0, (3.5, 1.2, 1, 1.2)),
    (0, (1.8, 1.2)),
    (0, (9, 2, 2, 2)),
    (0, (6, 1.2, 1, 1.2, 1, 1.2)),
    (0, (9, 4)),
    (0, (1, 2.4)),
)


def colour(method: str) -> str:
    """The method's colour, the same in every figure; one without a colour of its own gets one by its name."""
    registered = registered_method(method)
    return (registered and registered.colour) or _SPARE[_number(method) % len(_SPARE)]


def marker(method: str) -> str:
    """The method's marker, likewise."""
    registered = registered_method(method)
    return (registered and registered.marker) or _SPARE_MARKERS[_number(method) % len(_SPARE_MARKERS)]


def point(label: str, size: float = 17) -> dict[str, Any]:
    """How ``scatter`` draws a run that trained, or a mean; a control's are hollow."""
    method, control = label.split(" ")[0], split_control(label)[1]
    if control:
        colours = {"facecolors": "white", "edgecolors": colour(method), "linewidths": 0.9}
    else:
        colours = {"facecolors": colour(method), "edgecolors": "white", "linewidths": 0.5}
    return {"s": size, "marker": marker(method), **colours}


def cross(many: int = 0) -> dict[str, Any]:
    """How ``scatter`` draws a run at chance, or a layer with nothing left; smaller where there are many."""
    return {"s": 26 if many <= 24 else 12, "marker": "x", "linewidths": 1.3}


def stroke(many: int = 0) -> dict[str, Any]:
    """How ``scatter`` draws where a layer's density started; narrower where there are many."""
    return {"s": 60 if many <= 24 else 16, "marker": "_", "linewidths": 1.2, "color": INK}


def xy(points: Sequence[tuple[float, float]]) -> np.ndarray:
    """Points as ``scatter`` takes them soonest: an array of all x and one of all y. It walks through lists twice."""
    return np.asarray(points, float).T


def dashes(variant: int) -> Any:
    """The line of a method's n-th variant (``force``, ``force ablation=invert``): same colour, another dash."""
    return _DASHES[variant % len(_DASHES)]


@contextmanager
def styled() -> Iterator[None]:
    """Draw inside: matplotlib's settings are as before afterwards."""
    matplotlib = _matplotlib()
    settings = {
        "font.family": "DejaVu Sans",  # ships with matplotlib: the same file everywhere
        "font.size": 9.5,
        "axes.titlesize": 11,
        "axes.labelsize": 10,
        "axes.edgecolor": MUTED,
        "axes.labelcolor": INK,
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "text.color": INK,
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
        "svg.fonttype": "path",
    }
    with matplotlib.style.context(["default", settings]):  # whatever the user's own matplotlibrc says
        yield


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

    return matplotlib


def new_figure(size: tuple[float, float]) -> "Figure":
    """An empty figure of ``size``, width and height in inches, with a layout that leaves room for its labels."""
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout="constrained")


def save(figure: "Figure", stem: Path) -> list[Path]:
    """Write ``stem.png`` (200 dpi) and ``stem.svg``: equal figures give equal bytes.

    By their canvases: ``savefig`` would draw every figure once more, only to lay it out.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    png, svg = Path(f"{stem}.png"), Path(f"{stem}.svg")
    canvas, dpi = figure.canvas, figure.dpi
    with styled():
        figure.set(dpi=200, facecolor="white")
        FigureCanvasAgg(figure).print_png(png, metadata={"Software": None})
        FigureCanvasSVG(figure).print_svg(svg, metadata={"Date": None, "Creator": None})
    figure.set(canvas=canvas, dpi=dpi)
    return [png, svg]


def _number(text: str) -> int:
    return int(hashlib.sha256(re.sub(r"\W", "", text).encode()).hexdigest(), 16)
