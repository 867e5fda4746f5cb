"""Preemptions: counted once each, whatever checkpoints and launches know of them."""

from sweep.trial.preemptions import Preemptions
from sweep.trial.progress import Progress


def resumed(earlier: Progress | None, times: int, launch: str) -> Progress:
    """The progress of an attempt that goes on from a checkpoint, in a launch with so many preemptions."""
    progress = Progress("a" * 16, preemptions=Preemptions(lambda: times, launch))
    if earlier is not None:
        progress.count_attempts(earlier.to_checkpoint())
    return progress


def test_preemptions_of_all_launches_add_up_and_each_counts_once():
    first = resumed(None, 0, "monday")
    second = resumed(first, 1, "monday")  # the checkpoint was saved before its machine was taken away
    third = resumed(second, 2, "monday")
    later = resumed(third, 0, "tuesday")
    last = resumed(later, 1, "tuesday")
    attempts = (first, second, third, later, last)
    assert [each.record_fields()["preemptions"] for each in attempts] == [0, 1, 2, 2, 3]


def test_a_coordinator_that_forgot_its_count_does_not_lower_it():
    assert resumed(resumed(None, 2, "monday"), 1, "monday").record_fields()["preemptions"] == 2


def test_a_checkpoint_of_a_trial_that_lost_no_machine_is_as_before():
    assert "preemptions" not in Progress("a" * 16).to_checkpoint()
    assert resumed(Progress("a" * 16), 0, "monday").record_fields()["preemptions"] == 0
