"""The logits among what a network answers with."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor


def logits_of(output: Any) -> Tensor:
    """The output itself, or the first of several: those behind it (auxiliary heads) are left out.

    A mapping or an object that names one of its outputs "logits" means that one.

    Raises:
        TypeError: there is no tensor at that place.
    """
    found = output
    while not isinstance(found, Tensor):
        if isinstance(found, Mapping) and found:
            found = found["logits"] if "logits" in found else next(iter(found.values()))
        elif hasattr(found, "logits"):
            found = found.logits
        elif isinstance(found, Sequence) and not isinstance(found, str) and found:
            found = found[0]
        else:
            raise TypeError(
                f"a network answers with logits, or with several outputs, logits first, not with {output!r:.99}"
            )
    return found


def is_single(output: Any) -> bool:
    """Whether a network answers with logits and nothing else."""
    return isinstance(output, Tensor)
