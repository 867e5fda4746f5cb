"""Failures by kind: what they have in common, and what to do about them."""

from collections.abc import Iterable
from dataclasses import dataclass

from sweep.records import COMPLETED, DIVERGED, FAILED, INTERRUPTED, TrialRecord

WORKER_LOST = "WorkerLost"  # error types of trials that could not speak for themselves: their process died,
NODE_LOST = "NodeLost"  # or its machine


@dataclass(frozen=True)
class Kind:
    """A kind of failure: its name, and how to mend it."""

    name: str
    mend: str


OUT_OF_MEMORY = Kind("out-of-memory", "smaller training.batch_size or pruning.batch_size, or fewer trials at once")
NON_FINITE = Kind("non-finite-loss", "a lower training.learning_rate, or a warm-up")
DATA = Kind("data", "mend the data that the message names")
NO_ROOM = Kind("no-room", "free some disk space")
NODES = Kind("node-lost", "machines that stay: the trial was lost with more of them than it may be")
PROCESSES = Kind("process-lost", "if it did not exit by itself, often memory: fewer trials at once, smaller batches")
CODE = Kind("code", "mend what the traceback shows: sweep trial show ID")
STOPPED = Kind("interrupted", "nothing is wrong: launching again goes on from its checkpoint")
KINDS = (OUT_OF_MEMORY, NON_FINITE, DATA, NO_ROOM, NODES, PROCESSES, CODE, STOPPED)

HOST_MEMORY = ("MemoryError", "ArrowMemoryError")  # the machine's and not the GPU's: Python's and numpy's, pyarrow's
_MEMORY_TYPES = ("OutOfMemoryError", "OutOfMemory", *HOST_MEMORY)
_MEMORY_WORDS = (
    "out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory", "_status_alloc_failed",
    "allocation_failed",
)  # fmt: skip
_NO_ROOM_WORDS = ("no space left", "quota exceeded")


@dataclass(frozen=True)
class Group:
    """Trials that failed in one way."""

    kind: Kind
    trials: tuple[TrialRecord, ...]

    @property
    def example(self) -> TrialRecord:
        """The last of them."""
        return self.trials[-1]


def kind_of(status: str, error_type: str | None, message: str | None) -> Kind:
    """What kind of failure a record tells of."""
    said = (message or "").lower()
    if status == INTERRUPTED:
        return STOPPED
    if status == DIVERGED:
        return NON_FINITE
    if error_type == NODE_LOST:
        return NODES
    if error_type in _MEMORY_TYPES or any(words in said for words in _MEMORY_WORDS):
        return OUT_OF_MEMORY
    if error_type == WORKER_LOST:
        return PROCESSES
    if error_type == "DataError":
        return DATA
    if any(words in said for words in _NO_ROOM_WORDS):
        return NO_ROOM
    return CODE


def kind(record: TrialRecord) -> Kind:
    """The same of a record."""
    return kind_of(record.status, record.error_type, record.error_message)


def group(records: Iterable[TrialRecord]) -> list[Group]:
    """Those that did not complete by kind, in the order of :data:`KINDS`."""
    bad = [record for record in records if record.status != COMPLETED]
    groups = [Group(each, tuple(record for record in bad if kind(record) == each)) for each in KINDS]
    return [each for each in groups if each.trials]


def may_pass(record: TrialRecord, before: TrialRecord | None) -> bool:
    """Whether a failed trial may fare better if it is tried again: not if it has failed the same way before."""
    if record.status != FAILED or kind(record) in (DATA, NON_FINITE) or record.error_type == "InputError":
        return False
    return before is None or (before.error_type, before.error_message) != (record.error_type, record.error_message)
