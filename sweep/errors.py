"""Errors that end a command: shown as one message, without a traceback."""


class InputError(ValueError):
    """Bad input, which the user can fix: exit code 2. The message says what is wrong, where, and how to fix it."""


class GpuError(RuntimeError):
    """This process can no longer use its GPU; a new process can: exit code 1."""


class StoreError(OSError):
    """The store cannot be read or written (full, read-only, unreachable): exit code 1. Stored records are intact."""
