"""Preemptions: how often the machine of a trial was taken away, in this launch and in those before it."""

import uuid
from collections.abc import Callable
from typing import Any


class Preemptions:
    """Counts the preemptions of one trial, over all launches that worked on it.

    Args:
        count: how many there have been in this launch so far.
        launch: names this launch, the same for all attempts at the trial in it.
    """

    def __init__(self, count: Callable[[], int] = lambda: 0, launch: str | None = None):
        self._count, self._launch = count, launch or uuid.uuid4().hex
        self._known: dict[str, int] = {}  # by launch, of the last checkpoint

    def restore(self, checkpoint: dict[str, Any]) -> None:
        """Take the numbers that a checkpoint knows of."""
        self._known = checkpoint.get("preemptions", {})

    def by_launch(self) -> dict[str, int]:
        """The number in each launch that had any, for a checkpoint."""
        here = max(self._count(), self._known.get(self._launch, 0))
        return {name: number for name, number in {**self._known, self._launch: here}.items() if number}

    @property
    def total(self) -> int:
        """The number in all launches."""
        return sum(self.by_launch().values())
