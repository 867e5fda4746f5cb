"""Docstrings as Markdown: paragraphs, equations, tables."""

import inspect
import re
import textwrap
from collections.abc import Iterable
from typing import Any

_WIDTH = 120
_ROLE = re.compile(r":\w+:`~?([^`]+)`|``([^`]+)``")  # :func:`name` and ``code``
_SPECIAL = re.compile(r"(?<!\w)_|_(?!\w)|[*<>\\]|~(?=\S)")  # characters that Markdown may interpret
_REFERENCE = re.compile(r"arXiv:(?P<arxiv>\d{4}\.\d{4,5})|doi:(?P<doi>10\.\S+\w)")


def first_line(thing: Any) -> str:
    """The first line of its docstring."""
    return (inspect.getdoc(thing) or "").partition("\n")[0]


def paragraphs(thing: Any) -> list[str]:
    """The paragraphs of its docstring after the first line."""
    body = (inspect.getdoc(thing) or "").partition("\n")[2].strip("\n")
    return re.split(r"\n\s*\n", body) if body else []


def block(paragraph: str) -> str:
    """A paragraph of a docstring; an indented one is an equation."""
    if all(line.startswith("    ") for line in paragraph.splitlines()):
        return f"```text\n{textwrap.dedent(paragraph)}\n```\n"
    filled = textwrap.fill(prose(paragraph), _WIDTH, break_long_words=False, break_on_hyphens=False)
    return re.sub(r"^([-+#=]|\d+[.)])(?=\s)", r"\\\1", filled, flags=re.MULTILINE) + "\n"  # no line starts a list


def prose(text: str) -> str:
    """A docstring's text in one line: code as code, papers linked, other special characters escaped."""
    text = _ROLE.sub(lambda match: f"`{match[1] or match[2]}`", " ".join(text.split()))
    parts = re.split(r"(`[^`]*`|^\*\*[^*]+\*\*)", text)  # odd ones are code, or bold text at the beginning
    parts[::2] = [references(_SPECIAL.sub(r"\\\g<0>", part)) for part in parts[::2]]
    return "".join(parts)


def sentence(text: str) -> str:
    """:func:`prose` whose first word, if it begins with one, is capitalised."""
    return prose(re.sub(r"^[a-z]+(?=[\s,])", lambda match: match[0].capitalize(), text))


def references(text: str) -> str:
    """``arXiv:1810.02340`` and ``doi:…`` as links."""

    def link(match: re.Match[str]) -> str:
        address = f"arxiv.org/abs/{match['arxiv']}" if match["arxiv"] else f"doi.org/{match['doi']}"
        return f"[{match[0]}](https://{address})"

    return _REFERENCE.sub(link, text)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table; bars in cells are escaped."""
    lines = [[cell.replace("|", r"\|") for cell in row] for row in (head, *rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def anchor(title: str) -> str:
    """The anchor of a heading, for links to it."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
