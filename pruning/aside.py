"""Work of a GPU that what follows does not wait for."""

from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


class Aside:
    """A second stream of a GPU; on a CPU all is done at once."""

    def __init__(self, device: torch.device):
        self._device = device
        self._stream: torch.cuda.Stream | None = None
        self._done: torch.cuda.Event | None = None

    def run(self, work: Callable[[], T], reads: Iterable[Tensor]) -> T:
        """Start some work after all that the current stream has been given; its result is there after :meth:`join`.

        Args:
            reads: the tensors that it reads: their memory stays theirs until it is done.
        """
        if self._device.type != "cuda":
            return work()
        current = torch.cuda.current_stream(self._device)
        self._stream = self._stream or torch.cuda.Stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            result = work()
        for tensor in reads:
            tensor.record_stream(self._stream)
        self._done = self._stream.record_event()
        return result

    def join(self) -> None:
        """Let what the current stream is given from now on wait for the work."""
        if self._done is not None:
            torch.cuda.current_stream(self._device).wait_event(self._done)
            self._done = None
