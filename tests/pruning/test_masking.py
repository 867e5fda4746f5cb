"""Requirements on every masking: removed weights are zero after each step of any optimizer."""

import pytest
import torch

import pruning
from pruning.masking import FixedMask

from .networks import linear
from .trainings import after_every_step, fit, horizon, masking_of, vgg


def mask(*bits: int) -> pruning.Masks:
    return {"0.weight": torch.tensor([bits], dtype=torch.bool)}


def test_masking_starts_by_zeroing_what_the_mask_removes():
    model = linear([1.0, 2.0, 3.0])
    FixedMask(mask(1, 0, 1)).before_training(model, torch.optim.SGD(model.parameters()))
    assert model[0].weight.tolist() == [[1.0, 0.0, 3.0]]


def test_masks_that_are_exchanged_between_trainings_hold_from_the_next_one_on():
    model = linear([1.0, 2.0, 3.0])
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    masking = FixedMask(mask(1, 1, 0))
    masking.before_training(model, optimizer)
    masking.masks = mask(0, 1, 1)
    masking.before_training(model, optimizer)
    model[0].weight.grad = -torch.ones(1, 3)
    optimizer.step()
    masking.after_step()
    assert model[0].weight.tolist() == [[0.0, 3.0, 1.0]]


def test_masks_of_another_network_are_refused_before_the_first_step():
    model = linear([1.0, 2.0])
    with pytest.raises(ValueError, match="no parameter 'classifier.weight': these masks belong to another network"):
        FixedMask({"classifier.weight": torch.ones(1, 2, dtype=torch.bool)}).before_training(
            model, torch.optim.SGD(model.parameters())
        )


def test_a_fixed_mask_has_no_rounds_and_asks_for_no_second_training():
    model = linear([1.0, 2.0])
    masking = FixedMask(mask(1, 0))
    masking.before_training(model, torch.optim.SGD(model.parameters()))
    masking.after_step()
    masking.after_epoch(1)
    assert masking.after_training(model) is None
    assert (masking.rounds, masking.dense_gradients) == ([], 0)


@pytest.mark.parametrize("method", ["random", "set", "rigl", "magnitude_after", "imp"])
def test_removed_weights_are_zero_after_every_step_of_a_real_training(method):
    model, its, steps = vgg(), horizon(0.8), []

    def check() -> None:
        steps.append(1)
        weights = pruning.prunable(model)
        assert not any(weights[name][~mask].any() for name, mask in masking.masks.items())

    masking = masking_of(method, model, its, **({"rounds": 1} if method == "imp" else {}))
    after_every_step(masking, check)
    epochs = sum(len(training) for training in fit(model, masking))
    assert len(steps) == its.steps_per_epoch * epochs
