"""Text as LaTeX sets it."""

import re

_ESCAPES = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--", "−": "$-$",
    "±": r"$\pm$", "×": r"$\times$", "≤": r"$\leq$", "≥": r"$\geq$", "→": r"$\rightarrow$", "…": r"\ldots{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}  # fmt: skip
_SPECIAL = re.compile("|".join(map(re.escape, _ESCAPES)))


def escaped(text: str) -> str:
    """The text with commands for the characters that LaTeX interprets or its fonts lack: ``a_b`` -> ``a\\_b``."""
    return _SPECIAL.sub(lambda match: _ESCAPES[match[0]], text)
