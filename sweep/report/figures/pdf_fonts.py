"""The fonts of a PDF: the figures' own, without tables that take long to cut down and that no figure needs."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

FAMILY = "DejaVu Sans"  # ships with matplotlib
_UNUSED = ("GDEF", "GPOS", "GSUB", "MATH")  # ligatures and the like; Latin text is kerned by the table "kern"


@cache
def quick_family() -> str:
    """The name of a family of fonts that look like :data:`FAMILY` and are embedded ten times as fast.

    A PDF holds the glyphs that it uses of each font. Cutting a font down to them takes 0.3 s for each face and figure,
    most of which goes into tables of typographic features for all of the world's scripts.
    """
    from matplotlib.font_manager import FontEntry, fontManager

    folder = Path(tempfile.mkdtemp(prefix="sweep-fonts-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    name = f"{FAMILY} in PDF"
    for face in [entry for entry in fontManager.ttflist if entry.name == FAMILY]:
        file = folder / f"{len(list(folder.iterdir()))}-{Path(face.fname).name}"
        _without_unused_tables(Path(face.fname), file)
        fontManager.ttflist.append(
            FontEntry(str(file), name=name, **{
                key: getattr(face, key) for key in ("style", "variant", "weight", "stretch", "size")
            })
        )  # fmt: skip
    return name


def _without_unused_tables(source: Path, target: Path) -> None:
    """Copy a TrueType font but for its unused tables. Equal fonts give equal bytes."""
    from fontTools.ttLib import TTFont

    with TTFont(source, lazy=True, recalcBBoxes=False, recalcTimestamp=False) as font:
        for table in _UNUSED:
            if table in font:
                del font[table]
        font.save(target)
