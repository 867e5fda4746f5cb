"""Python's garbage collector, which would walk through a million objects that imports have made, time and again."""

import atexit
import functools
import gc

_USUAL = gc.get_threshold()


@functools.cache
def relax() -> None:
    """As a command begins: its imports are not searched for garbage, and neither is what is left at its end."""
    gc.set_threshold(100_000, *_USUAL[1:])
    atexit.register(gc.freeze)


def settle() -> None:
    """Before work begins: collect as usual again, but not what imports have made."""
    gc.set_threshold(*_USUAL)
    freeze()


@functools.cache
def freeze() -> None:
    """Leave what there is out of all later collections; once a process."""
    gc.freeze()
