"""Requests: files in the store that ask launches to end. Any machine that reaches the store can put one.

    leases/<launch>.request    what the launch is asked to do, and who asked

A launch looks for its own every few seconds and deletes it when it ends. The next launch deletes those of dead ones.
"""

import getpass
import json
import socket
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from sweep.store.files import Files
from sweep.store.leases import REQUEST, Launch
from sweep.text import one_line

Action = Literal["stop", "cancel"]
STOP: Action = "stop"  # start no trial any more, and end when the running ones have ended
CANCEL: Action = "cancel"  # interrupt the running trials too, each with a checkpoint


@dataclass(frozen=True)
class Request:
    """A request to a launch.

    Attributes:
        action: what it is to do.
        by: who asked, for its log.
    """

    action: Action
    by: str

    @property
    def interrupts(self) -> bool:
        """Whether running trials are to be interrupted."""
        return self.action == CANCEL

    @classmethod
    def from_here(cls, action: Action) -> "Request":
        """A request of this process's user."""
        try:
            user = getpass.getuser()
        except (KeyError, OSError):  # the latter from Python 3.13 on
            user = "a user without a name"
        return cls(action, f"{user} on {socket.gethostname()}")


class Requests:
    """The requests to the launches of one store."""

    def __init__(self, files: Files):
        self._files = files

    def put(self, launch: Launch, request: Request) -> None:
        """Ask a launch. Does nothing if it was asked to cancel before, which includes a stop.

        Raises:
            StoreError: the store cannot be written to.
        """
        before = self.of(launch)
        if before is None or not before.interrupts:
            self._files.put(_name(launch.id), json.dumps(asdict(request)).encode(), synced=False)

    def of(self, launch: Launch) -> Request | None:
        """What a launch was asked to do, if anything.

        Raises:
            StoreError: the store cannot be reached.
        """
        return self._read(launch.id)

    def all(self) -> dict[str, Request]:
        """What launches were asked to do, by the launch's id.

        Raises:
            StoreError: the store cannot be reached.
        """
        ids = [match[1] for name in self._files.names("leases") if (match := REQUEST.fullmatch(name))]
        return {launch: request for launch in ids if (request := self._read(launch))}

    def withdraw(self, launch: Launch) -> None:
        """Delete the request to a launch; does nothing without one.

        Raises:
            StoreError: the store cannot be written to.
        """
        self._files.delete(_name(launch.id))

    def _read(self, launch: str) -> Request | None:
        try:
            values = json.loads(self._files.read(_name(launch)) or b"{}")
            action = values.get("action")
            return Request(action, one_line(str(values.get("by")), 200)) if action in get_args(Action) else None
        except (ValueError, AttributeError):  # not written by us
            return None


def _name(launch: str) -> str:
    return f"leases/{launch}.request"
