"""Figures as data URIs, within a limit of bytes for the whole page."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import PIL.Image

LIMIT = 3_500_000  # bytes of all figures of a page
_UNQUOTED = " !$&'()*+,/:;=?@[]~"  # in a data URI within double quotes
_KINDS = {".svg": "image/svg+xml", ".png": "image/png"}


@dataclass(frozen=True)
class Image:
    """A figure within the page.

    Attributes:
        alt: what it shows, for those who do not see it.
        source: a data URI; empty where the page has no room for it.
        file: the name of its file in the report's folder.
        width: in pixels of a page, as wide as on paper.
        note: a paragraph that explains it.
    """

    alt: str
    source: str
    file: str
    width: int
    note: str = ""


class Room:
    """What is left of :data:`LIMIT`. Figures that are asked for first get it."""

    def __init__(self, limit: int = LIMIT):
        self._left = limit

    def image(self, paths: Sequence[Path], alt: str, note: str = "") -> Image:
        """The figure in these files; without its source where it has no room."""
        source = data_uri(paths)
        if len(source) > self._left:
            source = ""
        self._left -= len(source)
        return Image(alt, source, paths[0].name, _width(paths[0]), note)


def data_uri(paths: Sequence[Path]) -> str:
    """The shortest data URI of files that show the same figure; empty if none of them is an SVG or a PNG."""
    return min((_uri(path) for path in paths if path.suffix in _KINDS), key=len, default="")


def _uri(path: Path) -> str:
    kind, content = _KINDS[path.suffix], path.read_bytes()
    if path.suffix == ".svg":  # as text it is a quarter shorter than in base64
        return f"data:{kind},{quote(content.decode('utf-8').strip(), safe=_UNQUOTED)}"
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _width(path: Path) -> int:
    """Pixels of a page: 96 an inch."""
    if path.suffix != ".png":
        return 864
    with PIL.Image.open(path) as png:
        return round(96 * png.width / png.info["dpi"][0])
