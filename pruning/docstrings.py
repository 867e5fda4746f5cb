"""Entries of docstrings: the texts under "Args:" or "Attributes:", by name."""

import inspect
import re
from collections.abc import Callable
from typing import Any


def attributes(thing: type | Callable[..., Any], heading: str) -> dict[str, str]:
    """Name -> text of the entries under a heading ("Attributes", "Args") of its docstring."""
    listed = (inspect.getdoc(thing) or "").partition(f"{heading}:\n")[2].partition("\n\n")[0]
    entries = re.findall(r"^    (\w+): (.*(?:\n {5,}.*)*)", listed, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}
