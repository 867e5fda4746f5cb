"""How good a network is on a split, and in which precision it computes."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pruning.functional import unchanged
from pruning.graphs import NotCapturable, renewals
from pruning.outputs import logits_of
from training import graphs
from training.plan import Plan
from training.splits import Batch, MemorySplit, Split

_LOW_PRECISION = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Forward passes in "fp32", "bf16" or "fp16" where that is safe; weights stay float32."""
    low = _LOW_PRECISION.get(precision)
    # what a cache holds while a graph is captured would be gone when it is replayed
    return torch.autocast(
        device.type, dtype=low or torch.bfloat16, enabled=low is not None, cache_enabled=device.type == "cpu"
    )


def evaluate(
    model: nn.Module,
    split: Split,
    *,
    device: torch.device | str,
    precision: str = "fp32",
    batch_size: int = 1024,
) -> tuple[float, float]:
    """Accuracy, a fraction in [0, 1], and mean cross-entropy without label smoothing, over every image.

    In evaluation mode and without gradients. The model is left as it came: its mode, its buffers, and no tensor on it
    that training could take no gradient through.
    """
    return Evaluation(model, split, device=device, precision=precision, batch_size=batch_size)()


class Evaluation:
    """Evaluates a model on a split, again and again.

    Args:
        reason: why its passes are not to be captured, as a clause; None: from the third evaluation on they are, if the
            network allows it.
        pool: memory that its graph shares with others.

    Attributes:
        reason: as the argument, or what was found in the second evaluation.
    """

    def __init__(
        self,
        model: nn.Module,
        split: Split,
        *,
        device: torch.device | str,
        precision: str = "fp32",
        batch_size: int = 1024,
        reason: str | None = "it is made once",
        pool: object = None,
    ) -> None:
        self._model, self._split, self._device = model, split, torch.device(device)
        self._precision, self._batch_size, self._pool = precision, batch_size, pool
        self.reason = "no batch is full" if reason is None and len(split) < batch_size else reason
        self._correct = torch.zeros((), dtype=torch.int64, device=self._device)
        self._loss = torch.zeros((), dtype=torch.float64, device=self._device)
        self._count = 0
        self._rows = torch.zeros(0)
        self._replay: Callable[[], None] | None = None
        self._renewals = renewals()

    def __call__(self) -> tuple[float, float]:
        """See `evaluate`."""
        self._count += 1
        self._correct.zero_()
        self._loss.zero_()
        if self._is_captured():
            self._from_graph()
        else:
            with unchanged(self._model), torch.inference_mode():
                self._model.eval()
                self._eagerly()
        return self._correct.item() / len(self._split), self._loss.item() / len(self._split)

    def release(self) -> None:
        """Drop the graph and its memory; a further evaluation captures a new one."""
        self._replay = None
        self._renewals = renewals()

    def _eagerly(self) -> None:
        batches = self._split.batches(self._batch_size)
        if self._count == 2 and self.reason is None:  # the first one may have to set something up
            first = next(batches)
            if reason := graphs.watch(lambda: self._add(*first), self._model, self._device):
                self._give_up(reason)
        for images, labels in batches:
            self._add(images, labels)

    def _add(self, images: Tensor, labels: Tensor) -> None:
        with autocast(self._device, self._precision):
            logits = logits_of(self._model(images))
        self._correct += (logits.argmax(1) == labels).sum()
        self._loss += F.cross_entropy(logits.float(), labels, reduction="sum")

    def _is_captured(self) -> bool:
        """Whether there is a graph; it is captured now if it is time."""
        if self._renewals != renewals():
            self.release()
        if self.reason is None and self._replay is None and self._count > 2:
            self._rows = torch.zeros(self._batch_size, dtype=torch.int64, device=self._device)
            try:
                with _evaluating(self._model):
                    self._replay = graphs.capture(lambda: self._add(*self._batch(self._rows)), self._device, self._pool)
            except NotCapturable as error:
                self._give_up(str(error))
        return self._replay is not None

    def _from_graph(self) -> None:
        """Replay the full batches; run a smaller last one eagerly."""
        assert self._replay is not None
        rows, pace = self._all_rows(), graphs.Pace(self._device)
        full = len(rows) - len(rows) % self._batch_size
        with _evaluating(self._model):
            for some in rows[:full].split(self._batch_size):
                self._rows.copy_(some)
                self._replay()
                pace.step()
            if full < len(rows):
                self._add(*self._batch(rows[full:]))

    def _all_rows(self) -> Tensor:
        assert isinstance(self._split, MemorySplit)
        return self._split.in_order().rows

    def _batch(self, rows: Tensor) -> Batch:
        assert isinstance(self._split, MemorySplit)
        return self._split.read(Plan(rows, None))

    def _give_up(self, reason: str) -> None:
        self.reason = reason
        warnings.warn(f"validation runs eagerly, not as a CUDA graph: {reason}", RuntimeWarning, stacklevel=2)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; afterwards modules have their modes and buffers their values back.

    The buffers stay the same tensors, unlike in `unchanged`: a graph reads from the tensors that it was captured with.
    """
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    try:
        with torch.no_grad():
            model.eval()
            yield
    finally:
        for module, mode in modes:
            module.training = mode
        with torch.no_grad():
            for buffer, values in buffers:
                buffer.copy_(values)
