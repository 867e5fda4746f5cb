"""Standard output and error that end no sweep: whatever their encoding is, and whether somebody still reads them."""

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
    """What an encoding lacks as it is written in ASCII: a codec's error handler."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_ASCII.get(character) or _letter(character) for character in text), error.end


def _letter(character: str) -> str:
    """``e`` for ``é``, ``?`` where there is nothing like it."""
    return unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode() or "?"


codecs.register_error(HANDLER, _in_ascii)


class _Unbroken(io.FileIO):
    """A file that takes what is written to it for ever; after an error it goes nowhere.

    Attributes:
        error: that error, unless nobody reads any further: a closed pipe, a terminal that is gone.
    """

    error: OSError | None = None

    def write(self, data: Any) -> int:
        """As of any file. Processes that were started with it write to nowhere after an error, too."""
        try:
            while (written := super().write(data)) is None:  # somebody made the pipe one that does not wait
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
def lasting() -> Iterator[list[OSError]]:
    """Standard output and error that take whatever is printed inside, and work goes on.

    Characters that the encoding lacks are written in ASCII. After an error nothing more is printed. Yields a list that
    afterwards holds the errors that are to be told, which a closed pipe (``| head``) is not.
    """
    _open_standard_files()
    before, errors = (sys.stdout, sys.stderr), list[OSError]()
    streams = [_lasting(stream, number) for number, stream in enumerate(before, start=1)]
    sys.stdout, sys.stderr = (stream for stream, _ in streams)
    try:
        yield errors
    finally:
        for stream, raw in streams:
            with suppress(ValueError):  # closed by somebody
                stream.flush()
            if raw and raw.error:
                errors.append(raw.error)
        sys.stdout, sys.stderr = before


def _open_standard_files() -> None:
    """Those that were closed (``>&-``), so that no file of the store takes their numbers and what others print."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it takes the lowest number that is free


def _lasting(stream: TextIO | None, number: int) -> tuple[TextIO, _Unbroken | None]:
    """A stream in place of one, and the file below it; of a stream that is no file (a test's) itself."""
    try:
        if stream is not None:
            stream.flush()
        raw = _Unbroken(number if stream is None else stream.fileno(), "w", closefd=False)
    except (OSError, ValueError):
        assert stream is not None
        return stream, None
    encoding, at_once = stream.encoding if stream is not None else "utf-8", number == 2
    by_lines = at_once or raw.isatty()
    text = io.TextIOWrapper(io.BufferedWriter(raw), encoding, HANDLER, line_buffering=by_lines, write_through=at_once)
    return text, raw
