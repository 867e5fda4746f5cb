"""Standard output and error that never end a sweep, whatever their encoding and even if the reader is gone."""

import codecs
import errno
import io
import os
import select
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

_ASCII = {
    "–": "-", "—": "-", "−": "-", "…": "...", "×": "x", "·": "-", "±": "+-", "≤": "<=", "≥": ">=", "≠": "!=",
    "→": "->", "θ": "theta", "Σ": "sum", "σ": "sigma", "λ": "lambda", "π": "pi", "∞": "inf", "⊙": "*",
    "’": "'", "‘": "'", "“": '"', "”": '"', "•": "*",
}  # fmt: skip
HANDLER = "sweep.ascii"


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """A codec error handler: replaces characters that the encoding lacks by ASCII."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_ASCII.get(character) or _letter(character) for character in text), error.end


def _letter(character: str) -> str:
    """``e`` for ``é``, ``?`` for a character without a base letter."""
    return unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode() or "?"


codecs.register_error(HANDLER, _in_ascii)


class _TolerantFile(io.FileIO):
    """A file whose writes never raise OSError: after an error its descriptor points to ``/dev/null``.

    Attributes:
        error: that error, unless it means that the reader is gone (a closed pipe or terminal).
    """

    error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write and return the number of bytes. After an error, child processes write to /dev/null too."""
        try:
            while (written := super().write(data)) is None:  # another process made the pipe non-blocking
                select.select([], [self], [])
            return written
        except OSError as error:
            if error.errno != (errno.EIO if self.isatty() else errno.EPIPE):
                self.error = error
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return len(memoryview(data).cast("B"))


@contextmanager
def tolerant() -> Iterator[list[OSError]]:
    """Inside the block, printing to standard output and error never raises OSError or UnicodeEncodeError.

    Characters that the encoding lacks are written in ASCII. After an error nothing more is printed. Yields a list that
    after the block holds the errors to report; a closed pipe (``| head``) is not one of them.
    """
    _open_standard_files()
    before, errors = (sys.stdout, sys.stderr), list[OSError]()
    streams = [_tolerant_stream(stream, number) for number, stream in enumerate(before, start=1)]
    sys.stdout, sys.stderr = (stream for stream, _ in streams)
    try:
        yield errors
    finally:
        for stream, raw in streams:
            with suppress(ValueError):  # it was closed inside the block
                stream.flush()
            if raw and raw.error:
                errors.append(raw.error)
        sys.stdout, sys.stderr = before


def _open_standard_files() -> None:
    """Open closed standard files (``>&-``): a file of the store could get their numbers, and printed text with it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # gets the lowest free number


def _tolerant_stream(stream: TextIO | None, number: int) -> tuple[TextIO, _TolerantFile | None]:
    """The replacement for a stream, and its file; for a stream without a file (a test's) the stream itself and None."""
    try:
        if stream is not None:
            stream.flush()
        raw = _TolerantFile(number if stream is None else stream.fileno(), "w", closefd=False)
    except (OSError, ValueError):
        assert stream is not None
        return stream, None
    encoding, is_stderr = stream.encoding if stream is not None else "utf-8", number == 2
    text = io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding,
        HANDLER,
        line_buffering=is_stderr or raw.isatty(),
        write_through=is_stderr,
    )
    return text, raw
