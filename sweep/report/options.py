"""What a user asks of a report beyond its defaults: which methods and sparsities it draws, and how."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sweep.errors import InputError
from sweep.report.cells import labels, sparsities
from sweep.report.comparison import EQUIVALENCE
from sweep.report.names import method_name, split_control
from sweep.report.trials import Panel
from sweep.text import percent
from training.suggest import suggest


@dataclass(frozen=True)
class ReportOptions:
    """How a report is drawn.

    Attributes:
        width_inches: width of every figure, with type of 7 to 8 points at that size; None: as wide as suits a web page.
        methods: draw only these, each a name with all its variants ("force"), a label ("force rounds=300") or a display
            name; empty: all. The dense network is always drawn, and a control with its method.
        at: the sparsities of figures that show one; empty: the highest that such a figure can show.
        title: whether figures have a title.
        all_layers: whether the density by layer is drawn at every sparsity, not only at those of ``at``.
        latex: whether to write ``tables.tex`` and ``macros.tex``.
        equivalence: two methods are equivalent within plus or minus this difference of accuracies, a fraction.
    """

    width_inches: float | None = None
    methods: tuple[str, ...] = ()
    at: tuple[float, ...] = ()
    title: bool = True
    all_layers: bool = False
    equivalence: float = EQUIVALENCE
    latex: bool = False

    def check(self, panels: Sequence[Panel]) -> None:
        """Check that the trials have what is asked for.

        Raises:
            InputError: a method or a sparsity that no panel has; the message names the nearest, or all.
        """
        in_trials = list(dict.fromkeys(label for panel in panels for label in labels(panel.cells)))
        names = zip(*map(_names, in_trials), strict=True)
        known = dict.fromkeys(name for kind in names for name in kind)  # last what a config calls it: suggested first
        for method in self.methods:
            if not any(_means(method, label) for label in in_trials):
                raise InputError(f"report: --methods: no trial of a method {method!r}; {suggest(method, known)}")
        present = sorted({sparsity for panel in panels for sparsity in sparsities(panel.cells)})
        for sparsity in self.at:
            if sparsity not in present:
                shown = ", ".join(map(percent, present)) or "none"
                raise InputError(f"report: --at: no trial at {percent(sparsity)} sparsity; there are: {shown}")

    def selects(self, label: str) -> bool:
        """Whether the method of this label is drawn."""
        return not self.methods or label == "dense" or any(_means(method, label) for method in self.methods)

    def selected(self, panel: Panel) -> Panel:
        """The panel with only the methods that are drawn."""
        if not self.methods:
            return panel
        return replace(panel, trials=tuple(trial for trial in panel.trials if self.selects(trial.method_label)))

    def sparsities(self, drawable: Iterable[float]) -> list[float]:
        """Of the sparsities that a figure of one can show, those that it is to show."""
        rising = sorted(drawable)
        return [sparsity for sparsity in rising if sparsity in self.at] if self.at else rising[-1:]


DEFAULT = ReportOptions()


_INCHES = {"in": 1.0, "cm": 1 / 2.54, "mm": 1 / 25.4, "pt": 1 / 72.27}  # of a TeX point, as \\columnwidth has it
_NARROWEST, _WIDEST = 1.5, 20.0  # inches


def read_width(text: str) -> float:
    """``"8.4cm"`` -> inches.

    Raises:
        InputError: no length, one without a unit, or one that no figure fits.
    """
    found = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*([a-z]+)", text.strip().lower())
    if not found or found[2] not in _INCHES:
        raise InputError(f"--width: a length such as 3.3in, 84mm, 8.4cm or 240pt, not {text!r}")
    inches = float(found[1]) * _INCHES[found[2]]
    if not _NARROWEST <= inches <= _WIDEST:
        raise InputError(f"--width: from {_NARROWEST}in to {_WIDEST:g}in, not {text!r}, which is {inches:.3g}in")
    return inches


def read_methods(text: str) -> tuple[str, ...]:
    """``"force, snip"`` -> its names.

    Raises:
        InputError: a name is empty.
    """
    names = tuple(part.strip() for part in re.split(r",(?![^\[]*\])", text))  # not between the brackets of a list
    if not all(names):
        raise InputError(f"--methods: names with commas between them, such as force,snip, not {text!r}")
    return names


def read_sparsities(text: str) -> tuple[float, ...]:
    """``"99%, 0.995"`` -> sparsities as fractions, rising.

    Raises:
        InputError: a part is no percentage and no fraction.
    """
    return tuple(sorted({_sparsity(part.strip()) for part in text.split(",")}))


def _sparsity(text: str) -> float:
    found = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*(%?)", text)
    if not found:
        raise InputError(f"--at: a sparsity such as 99% or 0.99, not {text!r}")
    fraction = round(float(found[1]) / 100, 12) if found[2] else float(found[1])
    if fraction >= 1:
        hint = f"; write {text}%" if not found[2] and float(text) < 100 else ""
        raise InputError(f"--at: a sparsity is below 100%, not {text!r}{hint}")
    return fraction


def _means(method: str, label: str) -> bool:
    """Whether a name that a user wrote is one of a method's label, or of the method that a control is made of."""
    wanted = method.casefold()
    return wanted == label.casefold() or any(wanted == name.casefold() for name in _names(label))


def _names(label: str) -> tuple[str, ...]:
    """What a method may be called: its display name, its label, its name."""
    own = split_control(label)[0]
    return method_name(own), own, own.split(" ")[0]
