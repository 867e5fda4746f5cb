"""Look up a trial by the beginning of its id."""

from collections.abc import Iterable

from sweep.errors import InputError

SHOWN = 5  # ids in an error


def full_id(beginning: str, ids: Iterable[str], absent: str) -> str:
    """The one id of ``ids`` that begins so.

    Args:
        beginning: of an id.
        ids: to look among.
        absent: the end of the error where none begins so: "is not in results".

    Raises:
        InputError: none, or several.
    """
    matching = sorted(name for name in ids if name.startswith(beginning))
    if not matching:
        raise InputError(f"trial {beginning!r} {absent}")
    if len(matching) > 1:
        some = ", ".join(matching[:SHOWN])
        raise InputError(f"trial {beginning!r} is the beginning of {len(matching)} trials; give more of it ({some})")
    return matching[0]
