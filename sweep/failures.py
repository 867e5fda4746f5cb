"""Failures by kind: how to recognize each kind and how to fix it."""

from collections.abc import Iterable
from dataclasses import dataclass

from sweep.records import COMPLETED, DIVERGED, FAILED, INTERRUPTED, TrialRecord

WORKER_LOST = "WorkerLost"  # the error type of a trial whose process died
NODE_LOST = "NodeLost"  # the error type of a trial whose machine died


@dataclass(frozen=True)
class Kind:
    """A kind of failure: its name and how to fix it."""

    name: str
    fix: str


OUT_OF_MEMORY = Kind("out-of-memory", "smaller training.batch_size or pruning.batch_size, or fewer trials at once")
NON_FINITE = Kind("non-finite-loss", "a lower training.learning_rate, or a warm-up")
DATA = Kind("data", "fix the data that the message names")
NO_ROOM = Kind("no-room", "free some disk space")
NODES = Kind("node-lost", "use more reliable machines: too many of them died while they ran the trial")
PROCESSES = Kind("process-lost", "if it did not exit by itself, often memory: fewer trials at once, smaller batches")
CODE = Kind("code", "fix the error in the traceback: sweep trial show ID")
STOPPED = Kind("interrupted", "no error: the next launch resumes it from its checkpoint")
KINDS = (OUT_OF_MEMORY, NON_FINITE, DATA, NO_ROOM, NODES, PROCESSES, CODE, STOPPED)

HOST_MEMORY = (
    "MemoryError",
    "ArrowMemoryError",
)  # not the GPU's: the first is raised by Python and numpy, the second by pyarrow
_MEMORY_TYPES = ("OutOfMemoryError", "OutOfMemory", *HOST_MEMORY)
_MEMORY_WORDS = (
    "out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory", "_status_alloc_failed",
    "allocation_failed",
)  # fmt: skip
_NO_ROOM_WORDS = ("no space left", "quota exceeded")


@dataclass(frozen=True)
class FailureGroup:
    """Trials with one kind of failure."""

    kind: Kind
    trials: tuple[TrialRecord, ...]

    @property
    def example(self) -> TrialRecord:
        """The last trial of the group."""
        return self.trials[-1]


def kind_of(status: str, error_type: str | None, message: str | None) -> Kind:
    """The kind of failure of a record with these fields."""
    text = (message or "").lower()
    if status == INTERRUPTED:
        return STOPPED
    if status == DIVERGED:
        return NON_FINITE
    if error_type == NODE_LOST:
        return NODES
    if error_type in _MEMORY_TYPES or any(words in text for words in _MEMORY_WORDS):
        return OUT_OF_MEMORY
    if error_type == WORKER_LOST:
        return PROCESSES
    if error_type == "DataError":
        return DATA
    if any(words in text for words in _NO_ROOM_WORDS):
        return NO_ROOM
    return CODE


def kind(record: TrialRecord) -> Kind:
    """The kind of failure of a record."""
    return kind_of(record.status, record.error_type, record.error_message)


def group(records: Iterable[TrialRecord]) -> list[FailureGroup]:
    """The records that are not completed, grouped by kind in the order of :data:`KINDS`."""
    by_kind: dict[Kind, list[TrialRecord]] = {}
    for record in records:
        if record.status != COMPLETED:
            by_kind.setdefault(kind(record), []).append(record)
    return [FailureGroup(failure, tuple(by_kind[failure])) for failure in KINDS if failure in by_kind]


def may_pass(record: TrialRecord, before: TrialRecord | None) -> bool:
    """Whether another attempt at a failed trial may succeed: not if the attempt before failed with the same error."""
    if record.status != FAILED or kind(record) in (DATA, NON_FINITE) or record.error_type == "InputError":
        return False
    return before is None or (before.error_type, before.error_message) != (record.error_type, record.error_message)
