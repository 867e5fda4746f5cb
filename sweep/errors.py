"""Errors that are the user's to mend: shown as one message, without a traceback, with exit code 2."""


class InputError(ValueError):
    """Bad input. The text says what is wrong, where, and how to mend it."""
