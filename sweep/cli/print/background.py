"""A launch that was started in the background."""

import shlex

from sweep.launch.background import Started
from sweep.text import store_option


def started(launch: Started) -> str:
    """Who runs it, and commands to watch and to end it."""
    store = store_option(launch.store)
    lines = [
        f"{launch.sweep}: runs in the background, as process {launch.pid}, launch {launch.launch}",
        f"  log:    tail -f {shlex.quote(launch.log)}",
        f"  watch:  sweep status{store}",
        f"  stop:   sweep stop {launch.sweep}{store}     running trials end, no others start",
        f"  cancel: sweep cancel {launch.sweep}{store}   running trials save a checkpoint and end",
    ]
    return "\n".join(lines)
