"""The C library's allocator, told to keep what is freed: a training step asks for the same tensors again and again.

glibc gives free memory at the end of its heap back to the system, and gets it again as zeroed pages, one fault each.
For weights of tens of megabytes that are made anew in every round of pruning, that is a good part of the time around
the passes (docs/performance.md). Tensors above 32 MB come from the system each time, as always: glibc would not use
their places again. A matter of speed alone; where the C library is another one, nothing here does anything.
"""

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h
_NEVER, _LARGE = 2**31 - 1, 32 * 2**20

# For a process that trains in a thread: one arena for all of them, as others are cut into pieces that are given back
# whole. That has to be known when the process starts.
ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TRIM_THRESHOLD_": str(2**40),
    "MALLOC_MMAP_THRESHOLD_": str(_LARGE),
}


def keep_freed_memory() -> bool:
    """Let the main thread of this process keep freed memory for its next tensors. Returns whether it does."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return all(mallopt(option, value) for option, value in ((_TRIM_THRESHOLD, _NEVER), (_MMAP_THRESHOLD, _LARGE)))


def give_back() -> None:
    """Return to the system what this process has freed and kept."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        return
