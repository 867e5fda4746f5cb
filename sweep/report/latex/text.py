"""Texts, names and definitions for LaTeX."""

import re
from collections.abc import Iterable

from sweep.report.latex_text import escaped, negatives


def latex(text: str) -> str:
    """``99% -0.12 ± 0.30`` -> ``99\\% $-$0.12 $\\pm$ 0.30``."""
    return escaped(negatives(text))


def key(text: str) -> str:
    """``force rounds=300`` -> ``force-rounds-300``: only letters, digits, dots and single hyphens.

    TeX reads these characters as they are wherever they stand.
    """
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-")


def unique_keys(texts: Iterable[str]) -> dict[str, str]:
    """Text -> its :func:`key`; texts of equal keys get numbers from the second on."""
    keys: dict[str, str] = {}
    for text in dict.fromkeys(texts):
        wanted, number, taken = key(text), 1, set(keys.values())
        while (name := wanted if number == 1 else f"{wanted}-{number}") in taken:
            number += 1
        keys[text] = name
    return keys


def definition(name: str, body: str) -> str:
    """The TeX line that defines what a command of these files looks up as ``name``."""
    return rf"\expandafter\def\csname sweep/{name}\endcsname{{{body}}}"
