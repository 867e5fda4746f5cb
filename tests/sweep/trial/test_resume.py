"""A trial that is stopped, anywhere and as often as you like, and goes on: to the bit what it had been if left alone."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

import pruning
from sweep.config.grid import trial_id
from sweep.config.trial_config import TrialConfig
from sweep.records import Outcome
from sweep.trial import checkpoints, setup
from sweep.trial.run import Interrupted, load_data, run_trial
from training import checkpoint

from ..small import EPOCHS, OWN, STEPS, Memory, Stop, differences, own_networks, the_trial, with_compute

pytestmark = pytest.mark.slow  # launches, trainings or processes

METHODS = {name: name for name in pruning.names()} | {
    "iter_snip": "{name: iter_snip, rounds: 2}",
    "force": "{name: force, rounds: 2}",
    "iter_grasp": "{name: iter_grasp, rounds: 2}",
    "synflow": "{name: synflow, rounds: 5}",
    "ntk_sap": "{name: ntk_sap, rounds: 2}",
    "rigl": "{name: rigl, every: 2, until: 1.0}",
    "magnitude_after": "{name: magnitude_after, rounds: 2, retrain: 2}",
    "imp": "{name: imp, rounds: 2, rewind_epoch: 1}",
}


@pytest.fixture(scope="module")
def digits():
    return load_data(the_trial("grid.method=snip"))


@pytest.fixture(autouse=True)
def _saves_whatever_the_load(monkeypatch):
    """A busy machine puts off checkpoints that take long beside the work, and saves one before a training."""
    monkeypatch.setattr(checkpoints, "SHARE", 0)
    monkeypatch.setattr(checkpoints, "NOTABLE_SECONDS", math.inf)


@pytest.fixture
def networks(tmp_path, monkeypatch):
    yield from own_networks(tmp_path, monkeypatch)


@pytest.fixture
def prunings(monkeypatch):
    """Every pruning that came to its end."""
    done, prune = [], pruning.prune

    def spy(*arguments, **options):
        done.append(prune(*arguments, **options))
        return done[-1]

    monkeypatch.setattr(pruning, "prune", spy)
    return done


@dataclass
class Life:
    """A trial that was left alone, and one that was stopped again and again, attempt by attempt."""

    alone: Outcome
    attempts: list[Outcome]
    in_pruning: int  # how often it was asked there

    @property
    def last(self) -> Outcome:
        return self.attempts[-1]


def live(trial: TrialConfig, digits, every: int = STEPS, **settings: Any) -> Life:
    """Leave it alone; then stop it in the last round of pruning, and at every so many questions after that.

    An epoch has a question after each of its STEPS steps, and one at its end.
    """
    asked = Stop()
    alone = run_trial(trial, digits, stopping=asked, **settings)
    assert (alone.trial.status, alone.trial.error_message) == ("completed", None)
    in_training = alone.trial.epochs * (STEPS + 1)
    in_pruning = asked.asked - in_training
    stops = [in_pruning] if in_pruning else []
    stops += [in_pruning + every, *[every] * (in_training // every - 1)]
    return Life(alone, attempts(trial, digits, stops, **settings), in_pruning)


def attempts(
    trial: TrialConfig, digits, stops: Sequence[int], place: Memory | None = None, **settings
) -> list[Outcome]:
    """Every attempt: stopped at these questions, one after the other, and the last one left alone."""
    place = place or Memory()
    found = [run_trial(trial, digits, stopping=Stop(at), checkpoints=place, **settings) for at in stops]
    assert [outcome.trial.status for outcome in found] == ["interrupted"] * len(stops)
    return [*found, run_trial(trial, digits, checkpoints=place, **settings)]


# --- every method


@pytest.mark.parametrize("method", METHODS)
def test_every_method_stopped_again_and_again_ends_as_if_left_alone(method, digits, prunings):
    life = live(the_trial(f"grid.method={METHODS[method]}"), digits)
    preset, rounds = pruning.find(method), len(life.alone.trial.rounds)
    assert life.in_pruning == (0 if not preset.removes else 1 if preset.masking else rounds)
    assert differences(life.last, life.alone) == {}
    assert life.last.trial.final_weights_hash
    assert len(prunings) == 2  # one each: of those that were stopped only the first had to prune


# One by one, in both kinds of stop: one that is far from the next, and right after another
EVERYWHERE = {
    "pruned at initialization, compacted": "{name: synflow, rounds: 3}",
    "a mask that moves": METHODS["rigl"],
    "pruned after a training": "{name: imp, rounds: 1, rewind_epoch: 1}",
}


@pytest.mark.parametrize("method", EVERYWHERE.values(), ids=EVERYWHERE)
def test_a_trial_can_be_stopped_at_every_step_and_epoch(method, digits):
    trial = the_trial(f"grid.method={method}", "training.epochs=2")
    life = live(trial, digits, every=1)
    compacted = life.alone.trial.trained_macs < life.alone.trial.macs_dense
    assert compacted == ("synflow" in method)
    left_nothing = 1  # the first was stopped while it was pruned
    assert (differences(life.last, life.alone), life.last.trial.attempts) == ({}, len(life.attempts) - left_nothing)
    for at in range(1, len(life.attempts)):
        assert differences(attempts(trial, digits, [at])[-1], life.alone) == {}, f"stopped at question {at}"


# --- what else decides how a trial goes

SYNFLOW = "grid.method={name: synflow, rounds: 3}"
RECIPES = {
    "not compacted": ([SYNFLOW], {"settings": with_compute(compact=False)}),
    "shuffled": ([SYNFLOW, "grid.ablation=shuffle_layerwise"], {}),
    "reinitialized": ([SYNFLOW, "grid.ablation=reinitialize"], {}),
    "reinitialized, not compacted": ([SYNFLOW, "grid.ablation=reinitialize"], {"settings": with_compute(compact=False)}),
    "inverted": (["grid.method={name: snip}", "grid.ablation=invert", "grid.sparsity=0.5"], {}),
    "a ticket, shuffled": (["grid.method={name: imp, rounds: 1}", "grid.ablation=shuffle_layerwise"], {}),
    "a ticket, reinitialized": (["grid.method={name: imp, rounds: 1}", "grid.ablation=reinitialize"], {}),
    "a ticket, inverted": (["grid.method={name: imp, rounds: 1}", "grid.ablation=invert"], {}),
    "adam": ([f"grid.method={METHODS['rigl']}", "training.optimizer=adam", "training.learning_rate=0.01"], {}),
    "bf16, in pieces": ([SYNFLOW, "training.precision=bf16", "training.accumulate=2"], {}),
    "pieces for lack of memory": ([SYNFLOW], {"accumulate": 3}),
    "no validation": ([SYNFLOW, "data.validation=0"], {}),
}  # fmt: skip


@pytest.mark.parametrize(("settings", "options"), RECIPES.values(), ids=RECIPES)
def test_a_stop_changes_nothing_whatever_the_recipe(settings, options, digits):
    trial = the_trial(*settings)
    life = live(trial, load_data(trial) if trial.data.validation == 0 else digits, every=5, **options)
    assert differences(life.last, life.alone) == {}


def test_a_reinitialized_compacted_network_is_one(digits):
    record = run_trial(the_trial(*RECIPES["reinitialized"][0]), digits).trial
    assert record.trained_weights < record.prunable


@pytest.mark.parametrize("sparsity", [0.5, 0.99], ids=["whole", "compacted"])
def test_dropout_goes_on_where_it_was(sparsity, digits, networks):
    own = f"grid.architecture={{name: '{OWN}', width: 16, norm: true, dropout: 0.3}}"
    life = live(the_trial("grid.method=random", own, f"grid.sparsity={sparsity}"), digits, every=2)
    assert (life.alone.trial.trained_weights < life.alone.trial.prunable) == (sparsity == 0.99)
    assert differences(life.last, life.alone) == {}


def test_a_trial_that_is_cut_off_in_the_middle_of_a_step_goes_on_from_its_last_checkpoint(digits, networks):
    trial, place = the_trial("grid.method=random", f"grid.architecture={{name: '{OWN}', dropout: 0.3}}"), Memory()
    alone = run_trial(trial, digits)
    first = len(networks.batches) // 3 * 2

    def trouble(images):
        if len(networks.batches) == first:
            raise KeyboardInterrupt

    networks.batches.clear()
    networks.trouble = trouble
    cut = run_trial(trial, digits, checkpoints=place)
    assert (cut.trial.status, 0 < cut.trial.epochs < EPOCHS) == ("interrupted", True)
    assert differences(run_trial(trial, digits, checkpoints=place), alone) == {}


def test_who_is_told_of_an_epoch_may_stop_the_trial_and_finds_it_kept(digits):
    trial, place = the_trial("grid.method=random"), Memory()

    def stop(record):
        raise Interrupted

    stopped = [run_trial(trial, digits, checkpoints=place, on_epoch=stop) for _ in range(EPOCHS)]
    assert [outcome.trial.epochs for outcome in stopped] == [1, 2, 3]
    assert differences(run_trial(trial, digits, checkpoints=place), run_trial(trial, digits)) == {}


# --- what the records of stopped attempts say


def test_an_attempt_that_was_stopped_says_how_far_it_came(digits):
    life = live(
        the_trial(f"grid.method={METHODS['rigl']}"), digits
    )  # in pruning, then after 3 and 6 questions, 9 and 12
    trained = life.attempts[1:]
    assert [len(outcome.epochs) for outcome in trained] == [0, 1, 2, 3, 3]
    start = trained[0].masks
    for outcome in trained[:-1]:
        record, epochs = outcome.trial, life.alone.epochs[: len(outcome.epochs)]
        assert (record.status, record.error_type, record.test_accuracy) == ("interrupted", None, None)
        assert (record.epochs, record.final_weights_hash) == (len(epochs), None)
        assert [e.train_loss for e in outcome.epochs] == [e.train_loss for e in epochs]
        assert outcome.masks == start and sum(mask.kept for mask in start) == record.kept
    hashes = {mask.tensor: mask.hash for mask in start}
    assert {mask.tensor: mask.hash for mask in life.last.masks} != hashes  # those of the start, and not of the end


def test_a_trial_that_was_stopped_while_it_was_pruned_has_no_mask(digits):
    place = Memory()
    [stopped, _] = attempts(the_trial(f"grid.method={METHODS['force']}"), digits, [2], place)
    assert (stopped.masks, stopped.trial.kept, stopped.trial.initial_weights_hash is None) == ((), None, False)


def test_attempts_are_counted_and_their_times_added_up(digits):
    life = live(the_trial("grid.method=random"), digits)
    records = [outcome.trial for outcome in life.attempts[1:]]  # the one before left nothing to go on from
    assert [record.attempts for record in records] == [1, 2, 3, 4, 5]
    assert len({record.started for record in records}) == 1
    assert len({record.prune_seconds for record in records}) == 1
    seconds = [record.seconds for record in records]
    assert seconds == sorted(seconds) and seconds[-1] > 2 * seconds[0]
    assert records[-1].train_seconds == sum(epoch.epoch_seconds for epoch in life.last.epochs)


def test_the_pieces_of_a_batch_stay_as_they_are_unless_told_otherwise(digits):
    trial, place = the_trial("grid.method=random"), Memory()
    [_, last] = attempts(trial, digits, [2], place, accumulate=4)
    run_trial(trial, digits, stopping=Stop(2), checkpoints=(kept := Memory()), accumulate=4)
    more = run_trial(trial, digits, stopping=Stop(2), checkpoints=kept, accumulate=8)
    on = run_trial(trial, digits, checkpoints=kept)
    assert (last.trial.accumulate, more.trial.accumulate, on.trial.accumulate) == (4, 8, 8)


# --- checkpoints that are not what they should be


def damage(name: str, place: Memory, trial: TrialConfig, digits) -> None:
    """Leave another checkpoint in the place of the trial's own."""
    data = place.saved[-1][1]
    state = checkpoint.load(data)
    if name == "cut short":
        place.save(trial_id(trial), data[: len(data) // 2])
    elif name == "a bit flipped":
        place.save(trial_id(trial), data[:-100] + bytes([data[-100] ^ 1]) + data[-99:])
    elif name == "another trial's":
        run_trial(replace(trial, seed=1), digits, stopping=Stop(5), checkpoints=(other := Memory()))
        place.save(trial_id(trial), other.saved[-1][1])
    elif name == "another version's":
        place.save(trial_id(trial), checkpoint.dump(state | {"format": 0}))
    else:
        state["facts"]["data_fingerprint"] = "0" * 64
        place.save(trial_id(trial), checkpoint.dump(state))


@pytest.mark.parametrize(
    "name", ["cut short", "a bit flipped", "another trial's", "another version's", "of other images"]
)
def test_a_checkpoint_that_is_no_good_is_left_and_the_trial_begins_anew(name, digits, prunings, caplog):
    trial, place = the_trial("grid.method=random"), Memory()
    run_trial(trial, digits, stopping=Stop(5), checkpoints=place)
    damage(name, place, trial, digits)
    prunings.clear()
    with caplog.at_level(logging.WARNING):
        again = run_trial(trial, digits, checkpoints=place)
    assert [record.getMessage() for record in caplog.records if trial_id(trial) in record.getMessage()]
    assert "starts from scratch" in caplog.text
    assert (len(prunings), again.trial.attempts) == (1, 1)
    assert differences(again, run_trial(trial, digits)) == {}


def test_a_network_that_is_another_now_fails_and_says_how_to_begin_anew(digits, networks, monkeypatch):
    trial, place = the_trial("grid.method=random", f"grid.architecture={OWN}"), Memory()
    run_trial(trial, digits, stopping=Stop(5), checkpoints=place)
    build = setup.drawn_network
    monkeypatch.setattr(setup, "drawn_network", lambda *given: build(*given).layers)
    record = run_trial(trial, digits, checkpoints=place).trial
    assert (record.status, record.error_type) == ("failed", "ValueError")
    assert "its checkpoint does not fit" in record.error_message
    assert f"to run it from scratch: sweep retry {trial_id(trial)} --force" in record.error_message
