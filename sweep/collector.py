"""Settings of Python's garbage collector: by default it repeatedly scans the million objects that imports create."""

import atexit
import functools
import gc

_DEFAULT_THRESHOLDS = gc.get_threshold()


@functools.cache
def collect_rarely() -> None:
    """Call when a command begins: makes collections rare during its imports and skips the one at exit."""
    gc.set_threshold(100_000, *_DEFAULT_THRESHOLDS[1:])
    atexit.register(gc.freeze)


def collect_as_usual() -> None:
    """Call before work begins: restores the thresholds and exempts the objects that imports created."""
    gc.set_threshold(*_DEFAULT_THRESHOLDS)
    freeze()


@functools.cache
def freeze() -> None:
    """Exempt all present objects from later collections. Only the first call in a process has an effect."""
    gc.freeze()
