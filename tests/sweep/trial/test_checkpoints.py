"""When a trial saves a checkpoint, and what happens where that cannot be: by a clock that moves as it is told."""

import pytest

from sweep.errors import StoreError
from sweep.records import RoundRecord
from sweep.trial import checkpoints, training_run
from sweep.trial.attempts import run_attempts
from sweep.trial.checkpoints import SHARE, Checkpointer, NoCheckpoints
from sweep.trial.progress import fields_from_plain, plain_fields
from sweep.trial.run import load_data, run_trial
from training import checkpoint

from ..small import EPOCHS, STEPS, Memory, Stop, the_trial, with_compute

MINUTE = 60.0


@pytest.fixture(scope="module")
def trial():
    return the_trial("grid.method=random")


@pytest.fixture(scope="module")
def digits(trial):
    return load_data(trial)


class Clock:
    """Says what it is told, to checkpoints alone."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    found = Clock()
    monkeypatch.setattr(checkpoints, "time", found)
    monkeypatch.setattr(checkpoints, "NOTABLE_SECONDS", 0.0)
    return found


class Slow(Memory):
    """A place where saving takes its time."""

    def __init__(self, clock: Clock, seconds: float):
        super().__init__()
        self.clock, self.seconds = clock, seconds

    def save(self, trial_id: str, checkpoint: bytes) -> None:
        super().save(trial_id, checkpoint)
        self.clock.now += self.seconds


def moments(place: Memory) -> list[tuple[int, int]]:
    """Epoch and step of all that was saved; step 0 is before the first."""
    states = [checkpoint.load(data)["training"] for _, data in place.saved]
    return [(state["epoch"], state["step"]) for state in states]


def run(trial, digits, clock, step: float, save: float = 0.0, at: int | None = None, minutes: float = 1e6):
    """Run it, every step taking so many seconds by the clock, and every checkpoint. What was saved."""
    place, stop = Slow(clock, save), Stop(at)

    def stopping() -> bool:
        clock.now += step
        return stop()

    outcome = run_trial(trial, digits, with_compute(checkpoint_minutes=minutes), checkpoints=place, stopping=stopping)
    assert outcome.trial.status == ("completed" if at is None else "interrupted")
    return moments(place)


AFTER_PRUNING = (1, 0)
AFTER_EPOCHS = [(epoch + 1, 0) for epoch in range(1, EPOCHS + 1)]


def test_one_is_saved_after_pruning_and_after_every_epoch(trial, digits, clock):
    assert run(trial, digits, clock, step=1.0) == [AFTER_PRUNING, *AFTER_EPOCHS]


def test_none_is_saved_before_the_first_step_where_that_would_save_little_work(trial, digits, clock, monkeypatch):
    monkeypatch.setattr(checkpoints, "NOTABLE_SECONDS", 1.0)
    assert run(trial, digits, clock, step=1.0) == [AFTER_PRUNING, *AFTER_EPOCHS]
    assert run(trial, digits, clock, step=0.99) == AFTER_EPOCHS


def test_none_is_saved_where_that_would_take_more_than_its_share_of_the_time(trial, digits, clock):
    questions = STEPS + 1  # an epoch's
    just_enough = SHARE / questions
    assert run(trial, digits, clock, step=just_enough, save=1.0) == [AFTER_PRUNING, *AFTER_EPOCHS]
    assert run(trial, digits, clock, step=just_enough - 0.01, save=1.0) == [AFTER_PRUNING, AFTER_EPOCHS[1]]
    assert run(trial, digits, clock, step=0.1, save=1.0) == [AFTER_PRUNING]


def test_one_is_saved_in_the_middle_of_an_epoch_that_is_long(trial, digits, clock):
    assert run(trial, digits, clock, step=MINUTE, minutes=2.0) == [
        AFTER_PRUNING, (1, 2), (2, 0), (2, 2), (3, 0), (3, 2), (4, 0),
    ]  # fmt: skip
    assert run(trial, digits, clock, step=MINUTE, minutes=3.0) == [
        AFTER_PRUNING, (1, 3), (2, 0), (2, 3), (3, 0), (3, 3), (4, 0),
    ]  # fmt: skip
    assert run(trial, digits, clock, step=MINUTE, minutes=3.1) == [AFTER_PRUNING, *AFTER_EPOCHS]


def test_one_in_the_middle_of_an_epoch_too_has_to_be_cheap(trial, digits, clock):
    assert run(trial, digits, clock, step=MINUTE, minutes=0.5, save=10 * MINUTE) == [AFTER_PRUNING]


def test_whoever_is_stopped_saves_one_whatever_it_takes(trial, digits, clock):
    dear = 1e9  # and the first question is asked before the only round of pruning
    assert run(trial, digits, clock, step=0.1, save=dear, at=1 + 2) == [AFTER_PRUNING, (1, 2)]
    assert run(trial, digits, clock, step=0.1, save=dear, at=1 + STEPS + 1) == [AFTER_PRUNING, (2, 0)]


def test_nothing_is_put_together_that_nobody_keeps(trial, digits, clock, monkeypatch):
    kept = []
    monkeypatch.setattr(training_run.TrainingRun, "save", lambda *state: kept.append(state))
    run_trial(trial, digits, with_compute(checkpoint_minutes=1e-9), stopping=lambda: False)
    assert kept == []
    assert not Checkpointer(NoCheckpoints(), "a" * 16, 1.0).is_cheap


class Full(Memory):
    """Has room for so many."""

    def __init__(self, room: int):
        super().__init__()
        self.room = room

    def save(self, trial_id: str, checkpoint: bytes) -> None:
        if len(self.saved) == self.room:
            raise StoreError("store: no space left")
        super().save(trial_id, checkpoint)


@pytest.mark.parametrize("room", [0, 1], ids=["after pruning", "after an epoch"])
def test_a_checkpoint_that_cannot_be_written_is_no_failure_of_the_trial(trial, digits, room, clock):
    with pytest.raises(StoreError, match="no space left"):
        run_trial(trial, digits, checkpoints=Full(room))
    place = Full(room)
    with pytest.raises(StoreError, match="no space left"):
        run_attempts(trial, digits, with_compute(max_failures=3), checkpoints=place)
    assert len(place.saved) == room


def test_record_fields_survive_a_checkpoint_rounds_and_all():
    rounds = (RoundRecord(1, 0.5, 10, 0, 3), RoundRecord(2, 0.25, 5, 1, 6, 0.125))
    fields = {"rounds": rounds, "kept": 5, "disconnected": False, "gradient_norm": 0.1, "mask_hash": None}
    assert fields_from_plain(checkpoint.load(checkpoint.dump(plain_fields(fields)))) == fields
    assert fields_from_plain(checkpoint.load(checkpoint.dump(plain_fields({"kept": 5})))) == {"kept": 5}
