"""Second derivatives: attention by operations that have them, and a refusal by name where one has none."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from pruning.modes import slow_attention

_MISSING = re.compile(r"derivative for '?(?:aten::)?(\w+?)(?:_backward)?'? is not implemented")


@contextmanager
def second_derivatives(method: str) -> Iterator[None]:
    """Let ``method`` differentiate the network twice.

    Raises:
        ValueError: an operation of the network can be differentiated once only: naming the method, the operation, and
            what to do.
    """
    try:
        with slow_attention():
            yield
    except RuntimeError as error:
        missing = _MISSING.search(str(error))
        if missing is None:
            raise
        instead = " (x -> relu6(x + 3) / 6 is the same function)" if missing[1] == "hardsigmoid" else ""
        raise ValueError(
            f"method {method} takes second derivatives, and PyTorch has none of {missing[1]}, which this network uses:"
            f" put an operation that has them in its place{instead}, or take a method of first derivatives, such as"
            " snip or force"
        ) from error
