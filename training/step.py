"""One training step: forward, loss, backward, the optimizer, the masks, and the sums of an epoch.

It is written once, as a function of tensors that stay where they are. Eagerly it is called; on a GPU it can be captured
and replayed (`training.steps`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pruning.outputs import logits_of
from training.config import TrainConfig
from training.evaluate import autocast
from training.pieces import sizes

# Where fp16's gradient scaling starts in every epoch: no overflow to be expected, and nothing to carry over
_FP16_SCALE = 2.0**12


class Masking(Protocol):
    """Whatever keeps or changes masks: called before the first step, around each step and after each epoch."""

    def before_training(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Make or apply the masks that the first step starts from.

        Also where a training goes on in the middle: leave alone what is as it should be.
        """

    def before_step(self) -> bool:
        """Whether the step that follows needs the host: it then runs eagerly.

        If it does not, `after_step` may be skipped on the host: the GPU repeats what it did when it was captured, to
        the same tensors.
        """
        ...

    def after_step(self) -> None:
        """Make masked weights zero again, which momentum and weight decay have moved."""

    def after_epoch(self, epoch: int) -> None:
        """Change the masks, if they change during training, in place; epochs count from 1."""


class Step:
    """What a step does to a model, its optimizer and its masks.

    Args:
        rate_on_device: keep the learning rate in a tensor, which captured steps need; see `reads_rate_from_device`.

    Attributes:
        model: in training mode while it is called.
        loss: float64 [], the summed loss of the images seen since `begin_epoch`, on the device.
        correct: int64 [], how many of them were answered right.
        rate: the learning rate as a tensor, where the optimizer reads it from the device; else None.
        scaler: of fp16's gradients.
    """

    def __init__(
        self,
        model: nn.Module,
        config: TrainConfig,
        optimizer: torch.optim.Optimizer,
        masking: Masking | None,
        device: torch.device,
        rate_on_device: bool = False,
    ) -> None:
        self.model, self.device = model, device
        self._config, self._optimizer, self._masking = config, optimizer, masking
        self.loss = torch.zeros((), dtype=torch.float64, device=device)
        self.correct = torch.zeros((), dtype=torch.int64, device=device)
        kind = torch.float32 if device.type == "cuda" else torch.float64  # what fused optimizers read
        self.rate = torch.zeros((), dtype=kind, device=device) if rate_on_device else None
        self.scaler = self._new_scaler()

    def begin_epoch(self) -> None:
        """Start the sums at zero, and fp16's scale where every epoch starts it."""
        self.loss.zero_()
        self.correct.zero_()
        self.scaler = self._new_scaler()

    def set_rate(self, rate: float) -> None:
        """Set the learning rate of the next steps."""
        if self.rate is not None:
            self.rate.fill_(rate)
        for group in self._optimizer.param_groups:
            group["lr"] = rate if self.rate is None else self.rate

    def __call__(self, images: Tensor, labels: Tensor) -> None:
        """Learn from a batch: float32 [B, C, H, W], int64 [B]."""
        self._optimizer.zero_grad()
        loss, correct = backward(self.model, images, labels, self._config, self.scaler)
        self.scaler.step(self._optimizer)
        self.scaler.update()
        if self._masking:
            self._masking.after_step()
        self.loss += loss
        self.correct += correct

    @contextmanager
    def captured(self) -> Iterator[None]:
        """While a step is captured: without gradients before and after, as those inside are the graph's own."""
        self._optimizer.zero_grad()
        groups = [group for group in self._optimizer.param_groups if "capturable" in group]
        for group in groups:  # not before: outside of a capture, torch warns of it
            group["capturable"] = True
        try:
            yield
        finally:
            for group in groups:
                group["capturable"] = False
            self._optimizer.zero_grad()

    def _new_scaler(self) -> torch.amp.GradScaler:
        enabled = self._config.precision == "fp16"
        return torch.amp.GradScaler(self.device.type, init_scale=_FP16_SCALE, enabled=enabled)


def backward(
    model: nn.Module, images: Tensor, labels: Tensor, config: TrainConfig, scaler: torch.amp.GradScaler
) -> tuple[Tensor, Tensor]:
    """Add a batch's gradients, in micro-batches; its summed loss and correct answers, left on the device."""
    if config.channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
    loss = torch.zeros((), dtype=torch.float64, device=images.device)
    correct = torch.zeros((), dtype=torch.int64, device=images.device)
    each = sizes(len(images), config.accumulate)
    for some, answers in zip(images.split(each), labels.split(each), strict=True):
        with autocast(images.device, config.precision):
            logits = logits_of(model(some))
        summed = F.cross_entropy(logits.float(), answers, reduction="sum", label_smoothing=config.label_smoothing)
        # over the whole batch's size, so that micro-batches of different sizes weigh by their images
        scaler.scale(summed / len(labels)).backward()
        loss += summed.detach()
        correct += (logits.detach().argmax(1) == answers).sum()
    return loss, correct
