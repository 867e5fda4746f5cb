"""The training loop: one EpochResult an epoch. Masks come in through the small interface `Masking`.

A training can be stopped between any two steps and go on elsewhere from its state. On a CPU it then ends with the
same bits, and shows the same results, as if it had been left alone.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from statistics import median

import torch
from torch import nn

from training import resuming, seeding
from training.config import TrainConfig
from training.evaluate import Evaluation, evaluate
from training.graphs import on_side_stream
from training.optimizer import learning_rate, make_optimizer, reads_rate_from_device, steps_per_epoch
from training.pieces import most_pieces
from training.resuming import State
from training.splits import Splits
from training.step import Masking, Step
from training.steps import StepGraphs, steps_of_epoch, why_eager, why_eager_steps

__all__ = ["Diverged", "EpochResult", "Masking", "Training", "evaluate", "learning_rate", "make_optimizer", "train"]


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
    accumulate: int | None = None,
    on_step: Callable[[], None] = lambda: None,
    graphs: str = "auto",
) -> Iterator[EpochResult]:
    """`Training(...).run()`, where no state is wanted: train a model in place, yielding after each epoch.

    Raises:
        Diverged: the training or validation loss is not finite; nothing is yielded for that epoch.
    """
    return Training(
        model,
        splits,
        config,
        seed,
        masking=masking,
        device=device,
        first_epoch=first_epoch,
        optimizer=optimizer,
        accumulate=accumulate,
        on_step=on_step,
        graphs=graphs,
    ).run()


class Training:
    """One training of a model, in place, from `first_epoch` to `config.epochs`.

    Data order, augmentation and dropout of an epoch derive from (seed, epoch) alone: with model and optimizer
    restored as they were after epoch k, first_epoch=k+1 goes on as if there had been no interruption.

    Args:
        masking: has a state of its own, to be loaded before `run` too.
        accumulate: micro-batches a step, instead of the config's.
        on_step: called after each step, the last of an epoch too, when `state` can be had. It may raise anything to
            stop the training, and must not draw from torch's global generators.
        graphs: "auto": capture steps and validation as CUDA graphs where possible, see `training.steps`; "off": never.
    """

    def __init__(
        self,
        model: nn.Module,
        splits: Splits,
        config: TrainConfig,
        seed: int,
        *,
        masking: Masking | None = None,
        device: torch.device | str,
        first_epoch: int = 1,
        optimizer: torch.optim.Optimizer | None = None,
        accumulate: int | None = None,
        on_step: Callable[[], None] = lambda: None,
        graphs: str = "auto",
    ) -> None:
        pieces = config.accumulate if accumulate is None else min(accumulate, most_pieces(config.batch_size))
        self._config = replace(config, accumulate=pieces)
        self._model, self._splits, self._seed, self._device = model, splits, seed, torch.device(device)
        self._masking, self._on_step = masking, on_step
        model.to(self._device)
        if config.channels_last:
            model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._optimizer = optimizer or make_optimizer(model, config)
        self._steps = steps_per_epoch(len(splits.train), config.batch_size)
        reason = why_eager_steps(self._device, splits.train, graphs, config.precision, self._optimizer)
        on_gpu = self._device.type == "cuda"
        self._one_step = Step(
            model, self._config, self._optimizer, masking, self._device,
            rate_on_device=reason is None or (on_gpu and reads_rate_from_device(self._optimizer)),
        )  # fmt: skip
        self._graphs = StepGraphs(self._one_step, splits.train, reason)
        self._evaluate = self._evaluation(graphs)
        self._resting: State | None = None  # the state that the training goes on from, or was stopped in
        self._between_steps = True
        self._data_waits: list[float] = []  # by epoch
        self._new_epoch(first_epoch)

    @property
    def step(self) -> str:
        """How steps ran: "graph", if any was a replay, or "eager"."""
        return "graph" if self._graphs.replayed else "eager"

    @property
    def position(self) -> tuple[int, float]:
        """The epoch that is running, from 1, and the share of its steps that are done."""
        return self._epoch, self._step / self._steps

    @property
    def eager_reason(self) -> str | None:
        """Why steps ran eagerly, as a clause; None: they did not, or there have been too few to capture one."""
        return self._graphs.reason

    @property
    def data_wait(self) -> float | None:
        """Median share of an epoch's training spent waiting for images from disk; None where they are in memory."""
        return median(self._data_waits) if self._data_waits else None

    def _evaluation(self, graphs: str) -> Evaluation | None:
        split = self._splits.validation
        if split is None:
            return None
        return Evaluation(
            self._model,
            split,
            device=self._device,
            precision=self._config.precision,
            batch_size=self._config.batch_size,
            reason=why_eager(self._device, split, graphs),
            pool=self._graphs.pool,
        )

    def _new_epoch(self, epoch: int) -> None:
        self._epoch, self._step, self._images_seen = epoch, 0, 0
        self._one_step.begin_epoch()

    def state(self) -> State:
        """All that it takes to go on, but for the masking's: plain tensors by name, numbers, dicts and None.

        To be had before and between epochs, from within `on_step`, and after that has raised. Nothing is copied:
        serialise it before training goes on.

        Raises:
            RuntimeError: something else has stopped the training, maybe in the middle of a step.
        """
        if self._resting is not None:
            return self._resting
        if not self._between_steps:
            raise RuntimeError("this training has not stopped between two steps: there is no state to go on from")
        middle = self._step > 0
        return {
            "model": resuming.tensors(self._model),
            "optimizer": resuming.optimizer_state(self._optimizer, self._model),
            "epoch": self._epoch,
            "step": self._step,  # done in this epoch
            "loss": self._one_step.loss,  # sums over the images seen in this epoch
            "correct": self._one_step.correct,
            "images_seen": self._images_seen,
            "seconds": time.perf_counter() - self._began if middle else 0.0,
            "random": resuming.random_state(self._device) if middle else None,
            "scaler": self._one_step.scaler.state_dict() if middle else None,
        }

    def load(self, state: State) -> None:
        """Go on from the state of a training made with the same arguments; to be called before `run`.

        Raises:
            ValueError: the state is of another network, or of other images; it says what differs.
        """
        resuming.check(state, self._model, self._steps)
        resuming.load_tensors(self._model, state["model"])
        self._resting = state

    def run(self) -> Iterator[EpochResult]:
        """Train, yielding after each epoch. Once: a training that has stopped goes on as another one.

        Raises:
            Diverged: the training or validation loss is not finite; nothing is yielded for that epoch.
        """
        if self._masking:
            self._masking.before_training(self._model, self._optimizer)
        if self._resting is not None:
            resuming.load_optimizer(self._optimizer, self._model, self._resting["optimizer"])
            self._epoch = self._resting["epoch"]
        try:
            while self._epoch <= self._config.epochs:
                self._between_steps, self._began = False, time.perf_counter()
                with on_side_stream(self._device):
                    result = self._run_epoch()
                self._new_epoch(self._epoch + 1)
                self._between_steps = True
                yield result
        finally:
            self._graphs.release()  # memory that a later training needs
            if self._evaluate:
                self._evaluate.release()

    def _run_epoch(self) -> EpochResult:
        """An epoch, or what is left of it."""
        loss, accuracy = self._train()
        trained = time.perf_counter()
        if self._masking:
            self._masking.after_epoch(self._epoch)
        validation_accuracy = validation_loss = None
        if self._evaluate:
            # some networks draw in evaluation, too
            with seeding.seeded(self._seed, "validation", self._epoch, self._device):
                validation_accuracy, validation_loss = self._evaluate()
        result = EpochResult(
            epoch=self._epoch,
            train_loss=loss,
            train_accuracy=accuracy,
            validation_loss=validation_loss,
            validation_accuracy=validation_accuracy,
            learning_rate=self._rate(self._steps - 1),
            images_per_second=len(self._splits.train) / (trained - self._began),
            epoch_seconds=time.perf_counter() - self._began,
        )
        if not (math.isfinite(loss) and math.isfinite(validation_loss or 0.0)):
            raise Diverged(self._epoch, result)
        return result

    def _train(self) -> tuple[float, float]:
        """One pass over the training split, from the step on that is due: its mean loss and its accuracy."""
        draws = seeding.generator(self._seed, "training", self._epoch)
        rates = [self._rate(step) for step in range(self._steps)]
        self._model.train()
        began = time.perf_counter()
        with seeding.seeded(self._seed, "dropout", self._epoch, self._device):
            self._go_on()
            size = self._config.batch_size
            steps = steps_of_epoch(self._graphs, self._splits.train, size, draws, rates, first=self._step)
            while self._step < self._steps:
                self._images_seen += steps.make(self._step, self._needs_host())
                self._step += 1
                self._between_steps = True
                try:
                    self._on_step()
                except BaseException:  # a stop or Ctrl-C as well; raised again once the state is kept
                    self._resting = self.state()  # here, while the global generators are those of the training
                    raise
                self._between_steps = False
        loss, correct = self._one_step.loss.item(), self._one_step.correct.item()
        if steps.seconds_waiting is not None:
            self._data_waits.append(steps.seconds_waiting / (time.perf_counter() - began))
        return loss / self._images_seen, correct / self._images_seen

    def _needs_host(self) -> bool:
        """Whether the coming step must not be a replay; a masking that does not say takes part in every step."""
        if self._masking is None:
            return False
        before_step = getattr(self._masking, "before_step", None)
        return before_step is None or before_step()

    def _go_on(self) -> None:
        """Take up the epoch where the state that was loaded, if any, has left it."""
        state, self._resting = self._resting, None
        if state is None or state["step"] == 0:
            return
        self._step, self._images_seen = state["step"], state["images_seen"]
        self._one_step.loss.copy_(state["loss"])
        self._one_step.correct.copy_(state["correct"])
        self._began -= state["seconds"]
        self._one_step.scaler.load_state_dict(state["scaler"])
        resuming.load_random(self._device, state["random"])

    def _rate(self, step: int) -> float:
        """The learning rate of a step of this epoch; they count from 0."""
        return learning_rate(self._config, (self._epoch - 1) * self._steps + step, self._steps)
