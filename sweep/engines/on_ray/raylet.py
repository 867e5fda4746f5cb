"""The raylet: Ray's own process on each machine. When it dies, Ray soon ends this process too."""

import logging
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import ray

LOOK_SECONDS = 1.0
logger = logging.getLogger(__name__)


@contextmanager
def watched() -> Iterator[None]:
    """Log an error and exit if the raylet that this process has started dies: Ray would exit later, without a message.

    Finished trials are in the store by then, and the running ones died with the raylet.
    """
    raylet, ended = _own(), threading.Event()
    if raylet is None:
        yield
        return

    def watch() -> None:
        while not ended.wait(LOOK_SECONDS):
            if raylet.poll() is not None and not ended.is_set():
                logger.error(
                    f"Ray's raylet on this machine has died (exit code {raylet.returncode}): often memory. What is in"
                    " the store is safe; launching again goes on from there"
                )
                os._exit(1)

    thread = threading.Thread(target=watch, name="raylet", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _own() -> "subprocess.Popen[bytes] | None":
    """The raylet, if this process started it."""
    try:
        raylet: subprocess.Popen[bytes] = ray._private.worker._global_node.all_processes["raylet"][0].process  # type: ignore[attr-defined]
        return raylet if raylet.poll() is None else None
    except (AttributeError, LookupError):  # it did not, or this version of Ray keeps it elsewhere
        return None
