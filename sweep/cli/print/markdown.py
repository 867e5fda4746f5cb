"""Docstrings in Markdown: paragraphs, equations, lists of attributes, tables."""

import inspect
import re
import textwrap
from collections.abc import Callable, Iterable
from typing import Any

_WIDTH = 120
_ROLE = re.compile(r":\w+:`~?([^`]+)`|``([^`]+)``")  # :func:`name` and ``code``
_SPECIAL = re.compile(r"(?<!\w)_|_(?!\w)|[*<>\\]|~(?=\S)")  # what might mean something to Markdown
_REFERENCE = re.compile(r"arXiv:(?P<arxiv>\d{4}\.\d{4,5})|doi:(?P<doi>10\.\S+\w)")


def first_line(thing: Any) -> str:
    """Of a docstring."""
    return (inspect.getdoc(thing) or "").partition("\n")[0]


def paragraphs(thing: Any) -> list[str]:
    """Of a docstring, after its first line."""
    body = (inspect.getdoc(thing) or "").partition("\n")[2].strip("\n")
    return re.split(r"\n\s*\n", body) if body else []


def attributes(thing: type | Callable[..., Any], heading: str) -> dict[str, str]:
    """Name -> text of what a docstring lists under "Attributes:" or "Args:"."""
    listed = (inspect.getdoc(thing) or "").partition(f"{heading}:\n")[2].partition("\n\n")[0]
    entries = re.findall(r"^    (\w+): (.*(?:\n {5,}.*)*)", listed, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


def block(paragraph: str) -> str:
    """A paragraph of a docstring; an indented one is an equation."""
    if all(line.startswith("    ") for line in paragraph.splitlines()):
        return f"```text\n{textwrap.dedent(paragraph)}\n```\n"
    filled = textwrap.fill(prose(paragraph), _WIDTH, break_long_words=False, break_on_hyphens=False)
    return re.sub(r"^([-+#=]|\d+[.)])(?=\s)", r"\\\1", filled, flags=re.MULTILINE) + "\n"  # no line begins a list


def prose(text: str) -> str:
    """A docstring's text in one line: code as code, papers linked, nothing emphasised by accident."""
    text = _ROLE.sub(lambda found: f"`{found[1] or found[2]}`", " ".join(text.split()))
    pieces = re.split(r"(`[^`]*`|^\*\*[^*]+\*\*)", text)  # code, and a lead in bold
    pieces[::2] = [references(_SPECIAL.sub(r"\\\g<0>", piece)) for piece in pieces[::2]]
    return "".join(pieces)


def sentence(text: str) -> str:
    """:func:`prose` that begins with a capital, unless with something other than a word."""
    return prose(re.sub(r"^[a-z]+(?=[\s,])", lambda found: found[0].capitalize(), text))


def references(text: str) -> str:
    """``arXiv:1810.02340`` and ``doi:…`` as links."""

    def link(found: re.Match[str]) -> str:
        address = f"arxiv.org/abs/{found['arxiv']}" if found["arxiv"] else f"doi.org/{found['doi']}"
        return f"[{found[0]}](https://{address})"

    return _REFERENCE.sub(link, text)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table; a bar in a cell is one that is seen."""
    lines = [[cell.replace("|", r"\|") for cell in row] for row in (head, *rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def anchor(title: str) -> str:
    """What a link to a heading names it by."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
