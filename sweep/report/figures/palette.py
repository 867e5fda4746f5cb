"""The colour, marker and dash of every method: the same in every figure, and told apart by every eye and in grey.

Colours of methods differ for people with any colour vision. Eighteen greys cannot: two methods whose colours are near
each other under some colour vision, or in grey, differ in marker and in dash. A test checks both on simulated colours.
Variants of a method (``force``, ``force rounds=300``) share its colour and marker and differ in dash and in how their
markers are filled; those of controls are hollow.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sweep.report.names import registered_method, split_control

INK, MUTED, GRID = "#1a1a1a", "#6b6b6b", "#e4e4e4"
DASHES: dict[str, Any] = {  # name -> lengths of strokes and gaps, in line widths
    "solid": "-",
    "dashed": (0, (6, 1.8)),
    "short": (0, (2.6, 1.4)),
    "dashdot": (0, (6, 1.6, 1, 1.6)),
    "long_short": (0, (7.5, 1.6, 2.5, 1.6)),
    "dashdotdot": (0, (4.5, 1.3, 1, 1.3, 1, 1.3)),
}
_SPARE = ("#9e7bd1", "#b2df8a", "#a6761d", "#1b4f72", "#ff9896", "#66a61e")  # for methods without a colour of their own
_SPARE_MARKERS = ">8HPX"


@dataclass(frozen=True)
class Look:
    """How one method is drawn.

    Attributes:
        face: the colour inside its markers.
    """

    colour: str
    marker: str
    dashes: Any
    face: str

    @property
    def line(self) -> dict[str, Any]:
        """For ``plot``: the line alone."""
        return {"color": self.colour, "linestyle": self.dashes}

    @property
    def mark(self) -> dict[str, Any]:
        """For ``plot``: the marker of a mean. One that is filled has a white edge, which parts it from the line."""
        edge = "white" if self.face == self.colour else self.colour
        return {"marker": self.marker, "markerfacecolor": self.face, "markeredgecolor": edge}


def looks(labels: Iterable[str]) -> dict[str, Look]:
    """The looks of the methods that one figure shows, by label."""
    seen: Counter[str] = Counter()
    found = {}
    for label in labels:
        method, control = label.split(" ")[0], split_control(label)[1]
        variant = seen[method]
        seen[method] += 1
        face = "white" if control else _paler(colour(method)) if variant else colour(method)
        found[label] = Look(colour(method), marker(method), dashes(method, variant), face)
    return found


def colour(method: str) -> str:
    """The method's colour; one without a colour of its own gets one by its name."""
    registered = registered_method(method)
    return (registered and registered.colour) or _SPARE[_number(method) % len(_SPARE)]


def marker(method: str) -> str:
    """The method's marker, likewise."""
    registered = registered_method(method)
    return (registered and registered.marker) or _SPARE_MARKERS[_number(method) % len(_SPARE_MARKERS)]


def dashes(method: str, variant: int = 0) -> Any:
    """The dash of the method's line; of its n-th variant another."""
    registered = registered_method(method)
    names = list(DASHES)
    own = names.index(registered.dash) if registered and registered.dash in names else _number(method)
    return DASHES[names[(own + variant) % len(names)]]


def _paler(colour: str, share: float = 0.6) -> str:
    """The colour mixed with this share of white."""
    from matplotlib.colors import to_hex, to_rgb

    red, green, blue = (channel + share * (1 - channel) for channel in to_rgb(colour))
    return to_hex((red, green, blue))


def _number(text: str) -> int:
    return int(hashlib.sha256(re.sub(r"\W", "", text).encode()).hexdigest(), 16)
