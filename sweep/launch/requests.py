"""Requests to a running launch: what ``sweep stop`` and ``sweep cancel`` ask for, from any machine."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sweep.engines import Stop
from sweep.errors import StoreError
from sweep.store.leases import Launch
from sweep.store.requests import Request, Requests

LOOK_SECONDS = 2.0  # between two looks: one small request to an object store each


@contextmanager
def heeded(requests: Requests, launch: Launch, stop: Stop, say: Callable[[str], None]) -> Iterator[None]:
    """Inside the block, pass on to ``stop`` what the launch is asked to do, and ``say`` it."""
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(LOOK_SECONDS) and not stop.requested:
            try:
                request = requests.of(launch)
            except StoreError:  # the heartbeat, which needs the store too, warns of it
                continue
            if request is not None and request != stop.asked:
                stop.ask(request)
                say(_told(request))

    thread = threading.Thread(target=look, name="requests", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _told(request: Request) -> str:
    if request.interrupts:
        return f"sweep cancel by {request.by}: running trials save a checkpoint and end"
    return f"sweep stop by {request.by}: no other trial starts; this launch ends when the running trials have ended"
