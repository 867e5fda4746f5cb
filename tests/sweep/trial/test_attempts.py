"""Trials that fail and are tried again: how often, after what, and that what comes out is as if nothing had been."""

import gc
import logging
from dataclasses import replace

import pytest
import torch

from sweep import collector
from sweep.config.axes import Choice
from sweep.errors import InputError
from sweep.store import Store
from sweep.trial import experiment as science
from sweep.trial.attempts import renew, run_attempts
from sweep.trial.run import load_data, run_trial
from training.data import DataError

from ..small import CIRCUMSTANCES, OWN, Memory, Stop, differences, own_networks, sweep, the_trial, with_compute

PRUNING = 37  # images a pruning batch: how the network tells it from one to train on
BATCH = 512
SETTINGS = ("grid.method=random", f"grid.architecture={OWN}", f"pruning.batch_size={PRUNING}")
WITHOUT_CONFIG = CIRCUMSTANCES | {"trial_id", "config", "accumulate"}


@pytest.fixture(scope="module")
def digits():
    return load_data(the_trial("grid.method=random"))


@pytest.fixture
def networks(tmp_path, monkeypatch):
    yield from own_networks(tmp_path, monkeypatch)


@pytest.fixture
def trial(networks):
    return the_trial(*SETTINGS)


def fail(networks, *errors: Exception | None) -> list[Exception | None]:
    """Let training batches fail, one after the other, and those after them not. Returns what has not been raised."""
    left = list(errors)

    def trouble(images):
        if len(images) != PRUNING and left and (error := left.pop(0)) is not None:
            raise error

    networks.trouble = trouble
    return left


def no_room(networks, most: int, pruning: bool = False, error=torch.OutOfMemoryError) -> None:
    """Let memory hold so many images of a batch."""

    def trouble(images):
        if len(images) > most and (pruning or len(images) != PRUNING):
            raise error(f"CUDA out of memory. Tried to allocate {len(images)} MiB")

    networks.trouble = trouble


def errors(count: int) -> list[Exception]:
    return [RuntimeError(f"the {number}. trouble") for number in range(count)]


# --- how often


def test_a_flaky_trial_goes_on_from_its_checkpoint_and_ends_as_if_it_had_not_failed(trial, digits, networks, caplog):
    alone = run_trial(trial, digits)
    fail(networks, None, None, None, None, *errors(1))  # in its second epoch
    place = Memory()
    outcome = run_attempts(trial, digits, with_compute(max_failures=3), checkpoints=place)
    assert differences(outcome, alone) == {}
    assert (outcome.trial.status, outcome.trial.attempts) == ("completed", 2)
    assert "vgg" not in caplog.text and "the 0. trouble; it is tried again" in caplog.text


@pytest.mark.parametrize("most", [0, 1, 3])
def test_a_trial_is_tried_again_at_most_so_often(most, trial, digits, networks):
    left = fail(networks, *errors(10))
    outcome = run_attempts(trial, digits, with_compute(max_failures=most), checkpoints=Memory())
    assert (outcome.trial.status, outcome.trial.attempts, len(left)) == ("failed", 1 + most, 10 - 1 - most)
    assert outcome.trial.error_message == f"the {most}. trouble"


def test_a_trial_that_fails_in_the_same_way_twice_is_left(trial, digits, networks):
    same = errors(1) * 2
    left = fail(networks, *errors(2), *same, *errors(5))  # 0, 1, 0, 0: the last two are alike
    outcome = run_attempts(trial, digits, with_compute(max_failures=9), checkpoints=Memory())
    assert (outcome.trial.status, outcome.trial.attempts, len(left)) == ("failed", 4, 5)


def test_without_a_place_for_checkpoints_it_begins_again(trial, digits, networks):
    alone = run_trial(trial, digits)
    fail(networks, None, None, None, None, *errors(1))
    outcome = run_attempts(trial, digits, with_compute(max_failures=1))
    assert (differences(outcome, alone), outcome.trial.attempts) == ({}, 2)


@pytest.mark.parametrize("error", [DataError("row 7 of a.parquet: no image"), InputError("no such thing")])
def test_what_another_attempt_cannot_mend_is_not_tried_again(error, trial, digits, networks):
    left = fail(networks, error, *errors(3))
    record = run_attempts(trial, digits, with_compute(max_failures=3), checkpoints=Memory()).trial
    assert (record.status, record.error_type, record.attempts, len(left)) == ("failed", type(error).__name__, 1, 3)


def test_a_method_that_is_not_there_is_a_failure_of_the_trial(trial, digits):
    absent = replace(trial, method=Choice("absent_methods:score", (), "absent_methods:score"))
    record = run_attempts(absent, digits, with_compute(max_failures=3), checkpoints=Memory()).trial
    assert (record.status, record.method, record.attempts) == ("failed", "absent_methods:score", 2)
    assert "absent_methods" in record.error_message


def test_a_loss_that_is_not_finite_is_not_tried_again(digits, networks):
    wild = the_trial(*SETTINGS, "training.learning_rate=1e30", "training.epochs=2")
    record = run_attempts(wild, digits, with_compute(max_failures=3), checkpoints=Memory()).trial
    assert (record.status, record.attempts) == ("diverged", 1)


def test_a_trial_that_is_stopped_is_not_tried_again(trial, digits):
    record = run_attempts(trial, digits, with_compute(max_failures=3), checkpoints=Memory(), stopping=Stop(2)).trial
    assert (record.status, record.attempts) == ("interrupted", 1)


def test_attempts_are_counted_on_over_a_stop(trial, digits, networks):
    place = Memory()
    fail(networks, None, None, None, None, *errors(1))
    stopped = run_attempts(trial, digits, with_compute(max_failures=1), checkpoints=place, stopping=Stop(8))
    last = run_attempts(trial, digits, with_compute(max_failures=1), checkpoints=place)
    assert (stopped.trial.attempts, last.trial.attempts, last.trial.status) == (2, 3, "completed")
    assert stopped.trial.started == last.trial.started


# --- no room in memory


@pytest.mark.parametrize(("most", "pieces"), [(400, 2), (150, 4), (100, 8)])
def test_where_a_batch_has_no_room_it_is_taken_in_pieces_and_comes_to_the_same(most, pieces, trial, digits, networks):
    expected = run_trial(the_trial(*SETTINGS, f"training.accumulate={pieces}"), digits)
    no_room(networks, most)
    outcome = run_attempts(trial, digits, with_compute(max_failures=0), checkpoints=Memory())
    record = outcome.trial
    assert (record.status, record.error_type, record.accumulate) == ("completed", None, pieces)
    assert record.attempts == 1 + pieces.bit_length() - 1
    differing = {name.rpartition(" ")[2] for name in differences(outcome, expected, WITHOUT_CONFIG)}
    assert differing == {"trial_id"}  # which the masks and epochs have too


def test_pieces_of_its_own_are_what_it_goes_on_from(digits, networks):
    no_room(networks, 100)
    trial = the_trial(*SETTINGS, "training.accumulate=4")
    record = run_attempts(trial, digits, with_compute(max_failures=0), checkpoints=Memory()).trial
    assert (record.status, record.accumulate, record.attempts) == ("completed", 8, 2)


def test_memory_that_is_short_in_the_middle_of_a_training_is_mended_from_there(trial, digits, networks):
    full = torch.OutOfMemoryError("CUDA out of memory")
    fail(networks, None, None, None, None, full)
    place = Memory()
    record = run_attempts(trial, digits, with_compute(max_failures=0), checkpoints=place).trial
    assert (record.status, record.accumulate, record.attempts, record.epochs) == ("completed", 2, 2, 3)


def test_memory_that_was_short_counts_as_no_failure(trial, digits, networks):
    fail(networks, torch.OutOfMemoryError("CUDA out of memory"), *errors(1))
    record = run_attempts(trial, digits, with_compute(max_failures=1), checkpoints=Memory()).trial
    assert (record.status, record.accumulate, record.attempts) == ("completed", 2, 3)


@pytest.mark.slow
def test_a_piece_has_two_images_at_least_and_after_that_there_is_nothing_more_to_be_done(digits, networks, caplog):
    trial = the_trial(*SETTINGS, "training.batch_size=25", "training.epochs=1")
    no_room(networks, 3)
    record = run_attempts(trial, digits, with_compute(max_failures=0), checkpoints=Memory()).trial
    assert (record.status, record.accumulate, record.attempts) == ("completed", 12, 5)
    no_room(networks, 1)
    networks.batches.clear()
    with caplog.at_level(logging.WARNING):
        record = run_attempts(trial, digits, with_compute(max_failures=0), checkpoints=Memory()).trial
    assert (record.status, record.error_type, record.accumulate) == ("failed", "OutOfMemoryError", 12)
    assert [size for size in networks.batches if size != PRUNING] == [25, 13, 7, 4, 3]


@pytest.mark.parametrize("method", ["random", "snip"])
def test_memory_that_is_short_in_pruning_is_not_mended_by_pieces(method, digits, networks):
    no_room(networks, PRUNING - 1, pruning=True)
    trial = the_trial(*SETTINGS, f"grid.method={method}")
    record = run_attempts(trial, digits, with_compute(max_failures=3), checkpoints=Memory()).trial
    assert (record.status, record.error_type) == ("failed", "OutOfMemoryError")
    assert (record.accumulate, record.attempts) == (None, 2)  # as any error: once more, and left when it is the same


def test_memory_that_is_short_in_the_test_is_not_mended_by_pieces(trial, digits, networks, monkeypatch):
    def full(*arguments, **options):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(science.loop, "evaluate", full)
    record = run_attempts(
        the_trial(*SETTINGS, "data.validation=0"), digits, with_compute(max_failures=3), checkpoints=Memory()
    ).trial
    assert (record.status, record.accumulate, record.attempts, record.epochs) == ("failed", None, 2, 3)


def test_the_machines_own_memory_is_not_mended_by_pieces(trial, digits, networks):
    no_room(networks, 100, error=MemoryError)
    record = run_attempts(trial, digits, with_compute(max_failures=3), checkpoints=Memory()).trial
    assert (record.status, record.error_type, record.accumulate) == ("failed", "MemoryError", None)


# --- between attempts


@pytest.fixture
def just_begun():
    """As in a process that has not yet settled."""
    collector.freeze.cache_clear()
    yield
    gc.unfreeze()


def test_what_a_failed_attempt_has_held_is_given_back_before_the_next(trial, digits, networks, just_begun):
    fail(networks, *errors(1))
    alive = []
    outcome = run_attempts(
        trial, digits, with_compute(max_failures=1), stopping=lambda: alive.append(len(networks.alive)) or False
    )
    assert (outcome.trial.status, outcome.trial.attempts, set(alive)) == ("completed", 2, {1})


def break_gpu(networks, monkeypatch) -> None:
    """Let the first failure of a trial break a CUDA context, as a device-side assertion does: all later calls fail."""
    broken = []

    def trouble(images):
        if len(images) != PRUNING:
            broken.append("device-side assert triggered")
            raise torch.AcceleratorError(f"CUDA error: {broken[0]}")

    def synchronize():
        if broken:
            raise torch.AcceleratorError(f"CUDA error: {broken[0]}")

    networks.trouble = trouble
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", synchronize)
    for name in ("empty_cache", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.cuda, name, lambda: None)


@pytest.mark.slow
def test_a_broken_gpu_ends_a_sweep_in_this_process_with_a_record_of_what_broke_it(networks, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.yaml").write_text(
        f"data: digits\ngrid: {{architecture: '{OWN}', method: random, sparsity: 0.5, seed: [0, 1]}}\n"
        f"pruning: {{batch_size: {PRUNING}}}\ntraining: {{epochs: 2, batch_size: {BATCH}}}\ntracking: {{enabled: false}}\n"
    )
    break_gpu(networks, monkeypatch)
    result = sweep("launch", "own.yaml", "--local")
    assert (result.code, "left the GPU unusable in this process" in result.err) == (1, True)
    [record] = Store("results").trials().to_pylist()  # the second trial would have failed for nothing it has done
    assert (record["status"], record["seed"], record["error_type"]) == ("failed", 0, "AcceleratorError")


def test_a_process_that_is_made_as_good_as_new_can_be_used(trial, digits):
    for _ in range(2):
        renew()
    assert run_trial(trial, digits).trial.status == "completed"
