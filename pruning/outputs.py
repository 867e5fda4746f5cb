"""Extracting the logits from a network's output."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor


def logits_of(output: Any) -> Tensor:
    """The output if it is a tensor, else its entry or attribute "logits", else its first entry, recursively.

    Later outputs (auxiliary heads) are ignored.

    Raises:
        TypeError: that entry is not a tensor.
    """
    logits = output
    while not isinstance(logits, Tensor):
        if isinstance(logits, Mapping) and logits:
            logits = logits["logits"] if "logits" in logits else next(iter(logits.values()))
        elif hasattr(logits, "logits"):
            logits = logits.logits
        elif isinstance(logits, Sequence) and not isinstance(logits, str) and logits:
            logits = logits[0]
        else:
            raise TypeError(
                f"a network must return logits, or several outputs with the logits first, not {output!r:.99}"
            )
    return logits


def is_single(output: Any) -> bool:
    """Whether the output is the logits tensor alone."""
    return isinstance(output, Tensor)
