"""The training loop: one EpochResult an epoch. Masks come in through the small interface `Masking`."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training import seeding
from training.evaluate import autocast, evaluate
from training.optimizer import learning_rate, make_optimizer, steps_per_epoch
from training.recipe import TrainConfig
from training.splits import Splits

__all__ = ["Diverged", "EpochResult", "Masking", "evaluate", "learning_rate", "make_optimizer", "train"]

# Where fp16's gradient scaling starts in every epoch: no overflow to be expected, and nothing to carry over
_FP16_SCALE = 2.0**12


class Masking(Protocol):
    """Whatever keeps or changes masks: called before the first step, after each step and after each epoch."""

    def before_training(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Make or apply the masks that the first step starts from."""

    def after_step(self) -> None:
        """Make masked weights zero again, which momentum and weight decay have moved."""

    def after_epoch(self, epoch: int) -> None:
        """Change the masks, if they change during training; epochs count from 1."""


@dataclass(frozen=True)
class EpochResult:
    """What one epoch showed. Accuracies are fractions in [0, 1], losses mean cross-entropies."""

    epoch: int  # counts from 1
    train_loss: float  # as it was minimised: over augmented batches, in train mode, with label smoothing
    train_accuracy: float
    validation_loss: float | None  # None: there is no validation split
    validation_accuracy: float | None
    learning_rate: float  # of the last step
    images_per_second: float  # in training
    epoch_seconds: float  # training and validation


class Diverged(RuntimeError):
    """A loss stopped being finite. `result` holds what that epoch still measured."""

    def __init__(self, epoch: int, result: EpochResult) -> None:
        super().__init__(
            f"the loss stopped being finite in epoch {epoch} (training {result.train_loss},"
            f" validation {result.validation_loss})"
        )
        self.epoch, self.result = epoch, result

    def __reduce__(self) -> tuple[type["Diverged"], tuple[int, EpochResult]]:
        return type(self), (self.epoch, self.result)  # so that it survives pickling between processes


def train(
    model: nn.Module,
    splits: Splits,
    config: TrainConfig,
    seed: int,
    *,
    masking: Masking | None = None,
    device: torch.device | str,
    first_epoch: int = 1,
    optimizer: torch.optim.Optimizer | None = None,
) -> Iterator[EpochResult]:
    """Train a model in place, yielding after each epoch from `first_epoch` to `config.epochs`.

    Data order, augmentation and dropout of an epoch derive from (seed, epoch) alone: with model and optimizer
    restored as they were after epoch k, first_epoch=k+1 goes on as if there had been no interruption.

    Raises:
        Diverged: the training or validation loss is not finite; nothing is yielded for that epoch.
    """
    device = torch.device(device)
    model.to(device)
    if config.channels_last:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = optimizer or make_optimizer(model, config)
    if masking:
        masking.before_training(model, optimizer)
    for epoch in range(first_epoch, config.epochs + 1):
        start = time.perf_counter()
        loss, accuracy, rate = _train_epoch(model, optimizer, splits, config, seed, epoch, masking, device)
        trained = time.perf_counter()
        if masking:
            masking.after_epoch(epoch)
        validation_accuracy = validation_loss = None
        if splits.validation is not None:
            validation_accuracy, validation_loss = evaluate(
                model,
                splits.validation,
                device=device,
                precision=config.precision,
                batch_size=config.batch_size,
            )
        result = EpochResult(
            epoch=epoch,
            train_loss=loss,
            train_accuracy=accuracy,
            validation_loss=validation_loss,
            validation_accuracy=validation_accuracy,
            learning_rate=rate,
            images_per_second=len(splits.train) / (trained - start),
            epoch_seconds=time.perf_counter() - start,
        )
        if not (math.isfinite(loss) and math.isfinite(validation_loss or 0.0)):
            raise Diverged(epoch, result)
        yield result


def _train_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    splits: Splits,
    config: TrainConfig,
    seed: int,
    epoch: int,
    masking: Masking | None,
    device: torch.device,
) -> tuple[float, float, float]:
    """One pass over the training split: its mean loss, its accuracy, the last learning rate."""
    steps = steps_per_epoch(len(splits.train), config.batch_size)
    batches = splits.train.batches(
        config.batch_size, generator=seeding.generator(seed, "training", epoch), augment=True
    )
    scaler = torch.amp.GradScaler(device.type, init_scale=_FP16_SCALE, enabled=config.precision == "fp16")
    loss = torch.zeros((), dtype=torch.float64, device=device)
    correct = torch.zeros((), dtype=torch.int64, device=device)
    images_seen = 0
    model.train()
    with seeding.seeded(seed, "dropout", epoch):
        for step, (images, labels) in zip(range(steps), batches, strict=False):
            rate = learning_rate(config, (epoch - 1) * steps + step, steps)
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad()
            batch_loss, batch_correct = _backward(model, images, labels, config, scaler)
            scaler.step(optimizer)
            scaler.update()
            if masking:
                masking.after_step()
            loss += batch_loss
            correct += batch_correct
            images_seen += len(labels)
    return loss.item() / images_seen, correct.item() / images_seen, rate


def _backward(
    model: nn.Module, images: Tensor, labels: Tensor, config: TrainConfig, scaler: torch.amp.GradScaler
) -> tuple[Tensor, Tensor]:
    """Add a batch's gradients, in micro-batches; its summed loss and correct answers, left on the device."""
    if config.channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
    loss = torch.zeros((), dtype=torch.float64, device=images.device)
    correct = torch.zeros((), dtype=torch.int64, device=images.device)
    for some, answers in zip(images.chunk(config.accumulate), labels.chunk(config.accumulate), strict=True):
        with autocast(images.device, config.precision):
            logits = model(some)
        summed = F.cross_entropy(logits.float(), answers, reduction="sum", label_smoothing=config.label_smoothing)
        # over the whole batch's size, so that micro-batches of different sizes weigh by their images
        scaler.scale(summed / len(labels)).backward()
        loss += summed.detach()
        correct += (logits.detach().argmax(1) == answers).sum()
    return loss, correct
