"""The raylet: Ray's own process on each machine. When it dies, Ray soon ends this process too."""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sweep.engines.on_ray.ray_internals import own_raylet

LOOK_SECONDS = 1.0
logger = logging.getLogger(__name__)


@contextmanager
def watched() -> Iterator[None]:
    """Log an error and exit if the raylet that this process has started dies: Ray would exit later, without a message.

    Finished trials are in the store by then, and the running ones died with the raylet.
    """
    raylet, ended = own_raylet(), threading.Event()
    if raylet is None or raylet.poll() is not None:
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
