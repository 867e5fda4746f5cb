"""The end of a message about an unknown name."""

import difflib
from collections.abc import Iterable

_LOOK_ALIKES = str.maketrans("ol", "01")


def suggest(name: str, known: Iterable[str]) -> str:
    """'did you mean …?' with the known name nearest to a misspelt one, or else all that are known."""
    known = list(known)
    by_look = {candidate.lower().translate(_LOOK_ALIKES): candidate for candidate in known}
    near = difflib.get_close_matches(name.lower().translate(_LOOK_ALIKES), by_look, n=1)
    return f"did you mean {by_look[near[0]]!r}?" if near else f"known are {', '.join(known)}"
