"""What the pieces of a trial take: a real trial that is stopped after a few rounds of pruning and a second of training.

The code that runs is that of every trial, so that its pieces, put together, tell how long it would take.
"""

import time
from contextlib import suppress
from dataclasses import dataclass

import torch

import pruning
from sweep.config.trial_config import TrialConfig
from sweep.records import EpochRecord, MaskRecord, table
from sweep.store.parquet import encode
from sweep.trial import provenance
from sweep.trial.callbacks import Callbacks, Interrupted
from sweep.trial.checkpoints import Checkpointer, NoCheckpoints
from sweep.trial.experiment import Experiment
from sweep.trial.progress import Progress
from sweep.trial.settings import RunSettings
from sweep.trial.setup import AnyDataset, Setup
from sweep.trial.work import FORWARD, Size, expected, rounds, with_rounds
from training.evaluate import autocast
from training.loop import Diverged

ROUNDS = 4  # of pruning: more are like the last two of them
LONG_PRUNING = 2.0  # seconds; pruning that would take longer is cut short after ROUNDS
WARM_UPS = {"cpu": 2, "cuda": 8}  # steps: what libraries choose in their first calls, and on a GPU the capture
SECONDS, LEAST_STEPS = 1.0, 4  # of training that are timed
TEST_BATCH = 1024  # images, as of training.evaluate
MOST_SECONDS = 60.0  # of one trial
_ENDING = 0.5  # of what a trial takes before its first step: diagnostics and records after training, but no set-up


@dataclass(frozen=True)
class Timing:
    """What the pieces of one trial took. Work is in multiply-accumulates, as of :class:`sweep.trial.work.Work`.

    Attributes:
        architecture, method, sparsity: its labels.
        device: as records name it.
        share: of a GPU; None on a CPU.
        pruning_seconds: of all its rounds, by those that ran.
        pruning_work: of all its rounds.
        training_seconds: of the steps that were timed, and of the validations among them.
        training_work: of these.
        other_seconds: of the rest: before the first step, of the test by a batch of it, and of what ends a trial.
        memory_bytes: peak of the GPU's memory; on a CPU, of the process.
        mask_bytes: of its masks, as they are stored.
    """

    architecture: str
    method: str
    sparsity: float
    device: str
    share: float | None
    pruning_seconds: float
    pruning_work: float
    training_seconds: float
    training_work: float
    other_seconds: float
    memory_bytes: int | None = None
    mask_bytes: int | None = None


class NotTimed(Exception):
    """A trial could not be timed; the message says why, as a clause."""


def timing(trial: TrialConfig, dataset: AnyDataset, settings: RunSettings) -> Timing:
    """Run pieces of a trial, without a record.

    Raises:
        NotTimed: they take too long.
        Exception: whatever else a trial fails with.
    """
    run = _Run(trial, dataset, settings, may_cut=True)
    if run.cut_pruning is None:
        return run.timing(trial, run.pruning_seconds)
    shorter = _Run(with_rounds(trial, ROUNDS), dataset, settings, may_cut=False)
    return shorter.timing(trial, run.cut_pruning)


class _Run:
    """Runs pieces of a trial when it is made.

    Attributes:
        cut_pruning: seconds that all rounds would take, where they take so long that pruning was stopped; else None.
    """

    def __init__(self, trial: TrialConfig, dataset: AnyDataset, settings: RunSettings, may_cut: bool):
        self.cut_pruning: float | None = None
        self._settings, self._clock = settings, _Clock(settings.device, trial.training.batch_size)
        self._rounds, self._may_cut = rounds(trial), may_cut and pruning.find(trial.method.name).rounds is not None
        self._starts: list[float] = []  # of rounds
        self._has_peak = provenance.reset_peak_memory(settings.device)
        self._progress, self._began = Progress(""), time.perf_counter()
        experiment = Experiment(
            trial,
            dataset,
            settings,
            progress=self._progress,
            checkpointer=Checkpointer(NoCheckpoints(), "", settings.compute.checkpoint_minutes),
            callbacks=Callbacks(self._clock.epoch, self._stopping),
        )
        splits = experiment.setup.splits
        validation = 0 if splits.validation is None else len(splits.validation)
        self._size = Size(len(splits.train), experiment.setup.macs_dense, validation, len(splits.test))
        self._clock.size, self._is_whole = self._size, False
        with suppress(Interrupted, Diverged):  # one that diverges has taken its steps
            experiment.run(None)
            self._is_whole = True
        self._seconds = time.perf_counter() - self._began
        self._test_seconds = 0.0 if self._is_whole else _test_seconds(experiment.setup, self._clock)

    @property
    def pruning_seconds(self) -> float:
        """Of all rounds that ran."""
        return float(self._progress.fields.get("prune_seconds") or 0.0)

    def timing(self, trial: TrialConfig, pruning_seconds: float) -> Timing:
        """What was measured, as of ``trial``, whose whole pruning takes so long."""
        work, clock, device = expected(trial, self._size), self._clock, self._settings.device
        whole_epochs = sum(epoch.epoch_seconds for epoch in self._progress.epochs)
        training, training_work = clock.seconds, clock.work
        if not training and self._is_whole:
            training, training_work = whole_epochs, work.training
        if self._is_whole:
            other = self._seconds - self.pruning_seconds - whole_epochs
        else:
            step = training / max(1, clock.timed_steps)
            before = clock.first_step - self._began - self.pruning_seconds - step
            other = (1 + _ENDING) * before + self._test_seconds
        masks = encode("masks", table(MaskRecord, self._progress.masks))
        return Timing(
            trial.architecture.label,
            trial.method_label,
            trial.sparsity,
            provenance.device_name(device),
            self._settings.gpu_share,
            pruning_seconds,
            work.pruning,
            training,
            training_work,
            max(0.0, other),
            provenance.peak_memory(device) if self._has_peak else None,
            int(masks.size),
        )

    def _stopping(self) -> bool:
        """Called before every round, after every step and after every epoch."""
        now = time.perf_counter()
        if now - self._began > MOST_SECONDS:
            raise NotTimed(f"its pieces take longer than {MOST_SECONDS:.0f} s")
        if "prune_seconds" in self._progress.fields:  # pruning has ended
            return self._clock.step()
        self._starts.append(now)
        if self._may_cut and len(self._starts) == ROUNDS + 1:
            a_round = (self._starts[ROUNDS] - self._starts[2]) / (ROUNDS - 2)
            whole = self._starts[ROUNDS] - self._starts[0] + (self._rounds - ROUNDS) * a_round
            if whole > LONG_PRUNING:
                self.cut_pruning = whole
                return True
        return False


def _test_seconds(setup: Setup, clock: "_Clock") -> float:
    """Of the test, which runs the complete network, by one batch of it that takes about a second or less."""
    images = TEST_BATCH
    if clock.work:
        images = min(images, int(SECONDS * clock.work / clock.seconds / FORWARD / setup.macs_dense))
    batch, labels = next(iter(setup.splits.test.batches(max(32, images))))
    began = clock.now()
    with torch.inference_mode(), autocast(setup.device, setup.trial.training.precision):
        setup.model.eval()(batch)
    return (clock.now() - began) * len(setup.splits.test) / len(labels)


class _Clock:
    """Times training steps, and the validations between them.

    Attributes:
        size: of the trial.
        first_step: when the first one ended.
        timed_steps, seconds, work: of those that were timed; 0 where there were too few.
    """

    def __init__(self, device: str, batch_size: int):
        self.size = Size(0, 0)
        self.first_step = self.seconds = self.work = 0.0
        self.timed_steps = 0
        self._device, self._batch_size = torch.device(device), batch_size
        self._warm_ups = WARM_UPS[self._device.type]
        self._steps, self._seen = 0, 0  # in all; images of this epoch
        self._began: float | None = None
        self._images = 0.0  # since then, a validation's as a third
        self._is_epoch = False

    def epoch(self, record: EpochRecord) -> None:
        """An epoch has ended: the next call of :meth:`step` is about its validation."""
        self._is_epoch = True

    def step(self) -> bool:
        """A step has ended, or a validation. True: enough is timed."""
        if self._is_epoch:
            self._is_epoch, self._seen = False, 0
            self._images += FORWARD * self.size.validation
        else:
            images = min(self._batch_size, self.size.images - self._seen)
            self._steps, self._seen, self._images = self._steps + 1, self._seen + images, self._images + images
        if self._steps == 1 and not self.first_step:
            self.first_step = self.now()
        if self._began is None:
            if self._steps == self._warm_ups:
                self._began, self._images = self.now(), 0.0
            return False
        steps = self._steps - self._warm_ups
        if steps < LEAST_STEPS or time.perf_counter() - self._began < SECONDS:
            return False
        self.seconds, self.timed_steps = self.now() - self._began, steps
        self.work = self._images * self.size.macs
        return True

    def now(self) -> float:
        """The time when all that was launched so far is done."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()
