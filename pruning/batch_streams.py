"""Batches from a DataLoader: every round takes the next ones."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pruning.draws import remembered_draws


class BatchStream:
    """Reads on in an iterable, from its start again when it ends, however long it is.

    Its random draws, of the order and of crops and flips, go on from where the caller's generators stood, as if the
    caller had read the batches. Scoring seeds the generators otherwise.
    """

    def __init__(self, source: Iterable[Any]):
        self._source = source
        self._iterator: Iterator[Any] | None = None
        self._outside: Callable[[], None] = remembered_draws()

    def take(self, number: int) -> list[Any]:
        """The next ``number`` items.

        Raises:
            ValueError: the iterable has no items.
        """
        inside = remembered_draws()
        self._outside()
        try:
            items = [self._next() for _ in range(number)]
            self._outside = remembered_draws()
            return items
        finally:
            inside()

    def _next(self) -> Any:
        if self._iterator is not None:
            for item in self._iterator:
                return item
        self._iterator = iter(self._source)
        for item in self._iterator:
            return item
        raise ValueError(
            f"batches: the {type(self._source).__name__} has no batches (drop_last=True drops a short one)"
        )
