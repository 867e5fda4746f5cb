"""Progress: how far a trial is. It becomes the trial's record, and most of its checkpoint."""

import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from sweep.records import EpochRecord, MaskRecord, RoundRecord, WeightRecord
from sweep.trial.cost import Cost
from sweep.trial.preemptions import Preemptions
from sweep.trial.record_fields import RecordFields, epoch_fields


class Progress:
    """What is known of a trial so far, in this attempt and in those before it.

    Attributes:
        trial_id: of the trial.
        fields: fields of its record.
        epochs: records of the epochs that ended, of all its trainings.
        masks: records of the masks that the current training started from, or of the final ones.
        weights: records of the final weights, where they are kept.
        cost: passes and operations.
        accumulate: micro-batches a step; None: as the config says.
        started: when the first attempt started.
        attempts: how many there have been, with this one.
        preemptions: how often its machine was taken away.

    Args:
        trial_id: of the trial.
        attempt: the number of this attempt, from 1; a checkpoint may know of more.
        accumulate, preemptions: as above.
    """

    def __init__(
        self,
        trial_id: str,
        attempt: int = 1,
        accumulate: int | None = None,
        preemptions: Preemptions | None = None,
    ):
        self.trial_id = trial_id
        self.fields: RecordFields = {}
        self.epochs: list[EpochRecord] = []
        self.masks: list[MaskRecord] = []
        self.weights: list[WeightRecord] = []
        self.cost = Cost()
        self.accumulate = accumulate
        self.started = datetime.now(UTC)
        self.attempts = attempt
        self.preemptions = preemptions or Preemptions()
        self._earlier_seconds = 0.0
        self._begin = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of this attempt, and of the earlier ones up to the checkpoint."""
        return self._earlier_seconds + time.perf_counter() - self._begin

    def count_attempts(self, checkpoint: dict[str, Any]) -> None:
        """Add this attempt, and its preemptions, to those that a checkpoint knows of."""
        self.started = datetime.fromisoformat(checkpoint["started"])
        self.attempts = max(checkpoint["attempts"] + 1, self.attempts)
        self._earlier_seconds = checkpoint["seconds"]
        self.preemptions.restore(checkpoint)

    def restore(self, checkpoint: dict[str, Any]) -> None:
        """Take fields, epochs, masks and costs from a checkpoint."""
        self.fields |= fields_from_plain(checkpoint["facts"])
        self.epochs = [EpochRecord(**epoch) for epoch in checkpoint["epochs"]]
        self.masks = [MaskRecord(**mask) for mask in checkpoint["masks"]]
        self.cost = Cost(checkpoint["passes"], checkpoint["flops"])
        self.accumulate = self.accumulate or checkpoint["accumulate"]

    def to_checkpoint(self) -> dict[str, Any]:
        """The part of a checkpoint that :meth:`count_attempts` and :meth:`restore` read."""
        preemptions = self.preemptions.by_launch()
        return {
            "facts": plain_fields(self.fields),
            "epochs": [asdict(epoch) for epoch in self.epochs],
            "masks": [asdict(mask) for mask in self.masks],
            "passes": self.cost.passes,
            "flops": self.cost.flops,
            "accumulate": self.accumulate,
            "started": self.started.isoformat(),
            "seconds": self.seconds,
            "attempts": self.attempts,
            **({"preemptions": preemptions} if preemptions else {}),
        }

    def record_fields(self) -> RecordFields:
        """Everything that the trial's record says of the work that was done."""
        return {
            **self.fields,
            **epoch_fields(self.epochs),
            "started": self.started,
            "seconds": self.seconds,
            "attempts": self.attempts,
            "preemptions": self.preemptions.total,
            "accumulate": self.accumulate,
        }


def plain_fields(fields: RecordFields) -> RecordFields:
    """Record fields as a checkpoint can hold them: rounds as dicts."""
    rounds = fields.get("rounds")
    return fields if rounds is None else fields | {"rounds": [asdict(one) for one in rounds]}


def fields_from_plain(values: RecordFields) -> RecordFields:
    """The record fields that :func:`plain_fields` was given."""
    rounds = values.get("rounds")
    return values if rounds is None else values | {"rounds": tuple(RoundRecord(**one) for one in rounds)}
