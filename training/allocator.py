"""Settings of glibc's allocator that keep freed memory in the process: training steps allocate the same tensors again.

By default glibc returns free memory at the end of its heap to the system, and gets it back as zeroed pages with a page
fault each. For weights of tens of megabytes that every round of pruning allocates again, this takes a good part of the
time outside the passes (docs/performance.md). Tensors above 32 MB still come from the system each time, as glibc would
not reuse their memory. This affects speed only; with another C library, the functions do nothing.
"""

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h
_NEVER, _LARGE = 2**31 - 1, 32 * 2**20

# For a process that trains in a thread: one arena for all threads, as glibc returns other arenas to the system in whole
# chunks. glibc reads these variables when the process starts.
ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TRIM_THRESHOLD_": str(2**40),
    "MALLOC_MMAP_THRESHOLD_": str(_LARGE),
}


def keep_freed_memory() -> bool:
    """Make the main thread of this process keep freed memory for later tensors. False if the C library cannot."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return all(mallopt(option, value) for option, value in ((_TRIM_THRESHOLD, _NEVER), (_MMAP_THRESHOLD, _LARGE)))


def give_back() -> None:
    """Return freed memory of this process to the system."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        return
