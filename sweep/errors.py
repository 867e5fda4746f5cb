"""Errors that end a command: shown as one message, without a traceback."""


class InputError(ValueError):
    """Bad input, for the user to mend: exit code 2. The text says what is wrong, where, and how to mend it."""


class GpuError(RuntimeError):
    """This process can use its GPU no more, which only another process mends: exit code 1."""


class StoreError(OSError):
    """The store cannot be written to (full, read-only, gone): exit code 1. What is in it already is safe."""
