"""Text for output and messages: numbers, single lines, and addresses without their secrets."""

import os
import re
import shlex
from decimal import Decimal

HIDDEN = "***"  # replaces a secret
_SECRETS = r"\w*(?:secret|password|passwd|pwd|token|credential|signature|access_?key|api_?key|account_?key)\w*|sig|key"


def percent(fraction: float) -> str:
    """``0.995`` -> ``99.5%``, with enough digits to identify the fraction exactly."""
    short = f"{100 * fraction:.10g}"
    return f"{short}%" if float(short) / 100 == fraction else f"{Decimal(repr(float(fraction))).scaleb(2):f}%"


def trial_title(architecture: str, method: str, sparsity: float, seed: int) -> str:
    """A trial's name in output, from its labels: ``resnet50 force 99.5% s0``."""
    return f"{architecture} {method} {percent(sparsity)} s{seed}"


def number(value: float) -> str:
    """``0.1`` -> ``0.1``, ``300.0`` -> ``300``, with enough digits to identify the number exactly."""
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def clock(seconds: float) -> str:
    """``75`` -> ``1:15``, ``3700`` -> ``1:01:40``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def count(number: int, noun: str) -> str:
    """``1`` -> ``1 trial``, ``2000`` -> ``2,000 trials``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def duration(seconds: float) -> str:
    """``45.2`` -> ``45 s``, ``750`` -> ``12.5 min``, ``40000`` -> ``11.1 h``."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def percent_off(measured: float, expected: float) -> str:
    """``1.1, 1.0`` -> ``10 % more``, ``0.9, 1.0`` -> ``10 % less``."""
    off = round(100 * (measured / expected - 1)) if expected else 0
    return f"{abs(off)} % {'less' if off < 0 else 'more'}" if off else "as expected"


def one_line(text: str, most: int = 1000) -> str:
    """``text`` for use in a message: without line breaks and control characters, at most about ``most`` characters."""
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in re.sub(r"\s*\n\s*", " ", text))
    return line if len(line) <= most else f"{line[: most // 2]} … {line[-most // 2 :]}"


def redacted(text: str) -> str:
    """``text`` with the secrets in its addresses hidden: user names, passwords, and keys in query strings."""
    text = re.sub(r"://[^/\s]+@", f"://{HIDDEN}@", text)
    return re.sub(rf"([?&](?:{_SECRETS})=)[^&\s'\"]+", rf"\1{HIDDEN}", text, flags=re.IGNORECASE)


def store_option(name: str) -> str:
    """The option that makes a command use a store, with a leading space; empty for the default store."""
    return "" if name == os.path.abspath("results") else f" --store {shlex.quote(name)}"
