"""Text as LaTeX sets it."""

import re
import unicodedata

_ESCAPES = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--", "−": "$-$",
    "±": r"$\pm$", "×": r"$\times$", "≤": r"$\leq$", "≥": r"$\geq$", "→": r"$\rightarrow$", "…": r"\ldots{}",
    "Σ": r"$\Sigma$", "θ": r"$\theta$", "·": r"$\cdot$", "√": r"$\surd$", "⊙": r"$\odot$", "½": "1/2",
    "²": "$^2$", "₀": "$_0$", "₁": "$_1$", "ⁿ": "$^n$", "\u00a0": "~", "’": "'", "—": "---",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}  # fmt: skip


def escaped(text: str) -> str:
    """The text with commands for the characters that LaTeX interprets or its fonts lack: ``a_b`` -> ``a\\_b``.

    Latin letters with accents stay. Other characters that pdfLaTeX does not know become their code: ``U+4E2D``.
    """
    return "".join(map(_character, text))


def negatives(text: str) -> str:
    """The text with a minus sign for each hyphen that begins a number: ``[-1, +2]`` -> ``[−1, +2]``."""
    return re.sub(r"(?<![\w.%])-(?=\d)", "−", text)


def _character(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isascii():
        return character
    is_latin = ord(character) < 0x180 and "LATIN" in unicodedata.name(character, "")
    return character if is_latin else f"U+{ord(character):04X}"
