"""RigL: what it drops and grows by hand arithmetic, and when."""

import math

import pytest
import torch
from torch import nn

from pruning.methods.rigl import RigL

from .networks import linear
from .steps import active, bits, short, step, still


def rigl(*mask: int, every: int = 1, steps: int = 2, drop: float = 0.5, until: float = 1.0) -> RigL:
    """At step 1 of 2 the drop share is drop/2 · (1 + cos(π/2)) = drop/2."""
    return RigL(bits(*mask), short(steps=steps), drop=drop, every=every, until=until)


# --- RigL by hand


def test_rigl_drops_the_smallest_weight_and_grows_the_largest_gradient():
    # 4 active, share 0.25: one goes. |θ| = 1, 4, 3, 2: the first. |g| of those not active then: 0.5, 1, 5: the last
    model = linear([-1.0, 4.0, 3.0, -2.0, 9.0, 9.0])
    masking, optimizer = rigl(1, 1, 1, 1, 0, 0), still(model)
    masking.before_training(model, optimizer)
    step(model, masking, optimizer, 0.5, 100.0, 100.0, 100.0, 1.0, -5.0)
    assert active(masking) == [1, 2, 3, 5]
    assert model[0].weight.tolist() == [[0.0, 4.0, 3.0, -2.0, 0.0, 0.0]]


def test_rigl_may_grow_what_it_has_just_dropped_and_then_nothing_happens_to_it():
    model = linear([-1.0, 4.0, 3.0, -2.0, 9.0, 9.0])
    optimizer = still(model, momentum=0.9)
    masking = rigl(1, 1, 1, 1, 0, 0)
    masking.before_training(model, optimizer)
    step(model, masking, optimizer, 7.0, 0.0, 0.0, 0.0, 1.0, -5.0)
    assert active(masking) == [0, 1, 2, 3]
    assert model[0].weight.tolist() == [[-1.0, 4.0, 3.0, -2.0, 0.0, 0.0]]
    assert optimizer.state[model[0].weight]["momentum_buffer"][0, 0] == 7.0
    assert (masking.rounds[0].revived, masking.rounds[0].lost) == (0, 0)


def test_ties_drop_the_last_and_grow_the_first():
    model = linear([2.0, -2.0, 2.0, -2.0, 2.0, 2.0, 2.0, 2.0])
    masking, optimizer = rigl(0, 1, 1, 1, 1, 0, 0, 0, drop=0.9), still(model)
    masking.before_training(model, optimizer)
    step(
        model, masking, optimizer, *[1.0] * 8
    )  # share 0.45 of four: two go, 3 and 4; the first two not active then: 0, 3
    assert active(masking) == [0, 1, 2, 3]
    assert model[0].weight.tolist() == [[0.0, -2.0, 2.0, -2.0, 0.0, 0.0, 0.0, 0.0]]


def test_counts_are_exact_when_all_weights_and_all_gradients_are_zero():
    model = linear([0.0] * 10)
    masking, optimizer = rigl(1, 0, 1, 0, 1, 0, 1, 0, 1, 0, drop=0.8), still(model)
    masking.before_training(model, optimizer)
    step(model, masking, optimizer, *[0.0] * 10)
    assert len(active(masking)) == 5


def test_every_layer_drops_its_own_share_and_keeps_its_own_count():
    # share 0.4: of 10 active weights 4 go, of 5 two, although all of the first layer's are larger than the second's
    model = nn.Sequential(nn.Linear(20, 1, bias=False), nn.Linear(1, 10, bias=False))
    model[0].weight.data, model[1].weight.data = torch.full((1, 20), 9.0), torch.ones(10, 1)
    masks = {"0.weight": torch.arange(20).reshape(1, 20) < 10, "1.weight": torch.arange(10).reshape(10, 1) < 5}
    masking, optimizer = RigL(masks, short(steps=2), drop=0.8, every=1, until=1.0), still(model)
    masking.before_training(model, optimizer)
    for name, mask in masks.items():
        model.get_parameter(name).grad = (~mask).float()
    masking.before_step()
    optimizer.step()
    masking.after_step()
    assert [int((masking.masks[name] & mask).sum()) for name, mask in masks.items()] == [6, 3]
    assert [int(mask.sum()) for mask in masking.masks.values()] == [10, 5]


@pytest.mark.parametrize("nesterov", [False, True])
def test_rigl_grows_by_the_gradient_of_the_step_and_not_by_what_momentum_makes_of_it(nesterov):
    # with Nesterov's momentum and no weight decay the optimizer writes g + 0.9·momentum into the gradient
    model = linear([4.0, 3.0, 0.0, 0.0])
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-9, momentum=0.9, nesterov=nesterov, foreach=True)
    masking = rigl(1, 1, 0, 0, every=2, steps=4, drop=0.9)
    masking.before_training(model, optimizer)
    step(model, masking, optimizer, 0.0, 0.0, 100.0, 0.0)
    step(model, masking, optimizer, 0.0, 0.0, 1.0, 2.0)
    assert active(masking) == [0, 3]


@pytest.mark.parametrize(
    ("make", "remembered"),
    [
        (lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9), ["momentum_buffer"]),
        (lambda p: torch.optim.AdamW(p, lr=0.1, amsgrad=True), ["exp_avg", "exp_avg_sq", "max_exp_avg_sq"]),
    ],
    ids=["sgd", "adamw"],
)
def test_a_grown_weight_starts_at_zero_and_the_optimizer_has_forgotten_it(make, remembered):
    model = linear([4.0, 3.0, 0.0, 0.0])
    optimizer = make(model.parameters())
    masking = rigl(1, 1, 0, 0, every=2, steps=4, drop=0.9)
    masking.before_training(model, optimizer)
    step(model, masking, optimizer, 1.0, 1.0, 3.0, 5.0)
    state = optimizer.state[model[0].weight]
    assert all(state[name][0, 3] != 0 for name in remembered)  # it would remember
    step(model, masking, optimizer, 1.0, 1.0, 3.0, 5.0)
    assert active(masking) == [0, 3]
    assert model[0].weight[0, 3] == 0
    assert all(state[name][0, 3] == 0 for name in remembered)
    assert all(state[name][0, 0] != 0 for name in remembered)  # of the others it forgets nothing


def test_a_grown_weight_moves_by_its_own_gradient_alone():
    model = linear([4.0, 3.0, 0.0, 0.0])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    masking = rigl(1, 1, 0, 0, every=2, steps=4, drop=0.9)
    masking.before_training(model, optimizer)
    for gradient in (5.0, 5.0, 2.0):
        step(model, masking, optimizer, 0.0, 0.0, 0.0, gradient)
    assert model[0].weight[0, 3].item() == pytest.approx(-0.2)


# --- RigL's schedule


def drops(masking: RigL, steps: int, active: int) -> dict[int, int]:
    """How many weights changed at which step, with the largest gradients at those that are not active."""
    model = linear([1.0] * active + [0.0] * active)
    optimizer, found = still(model), {}
    masking.before_training(model, optimizer)
    for number in range(1, steps + 1):
        before = len(masking.rounds)
        model[0].weight.grad = (~masking.masks["0.weight"]).float()
        masking.before_step()
        optimizer.step()
        masking.after_step()
        if len(masking.rounds) > before:
            assert masking.rounds[-1].revived == masking.rounds[-1].lost
            found[number] = masking.rounds[-1].lost
    return found


def test_the_drop_share_falls_along_half_a_cosine_and_ends_at_until():
    # T_end = 3/4 of 160 = 120; α = 0.3: f(30) = 0.15 (1 + cos π/4), f(60) = 0.15, f(90) = 0.15 (1 − cos π/4)
    masking = RigL(bits(*[1] * 1000 + [0] * 1000), short(steps=160), every=30)
    assert drops(masking, 160, 1000) == {30: 256, 60: 150, 90: 44}
    assert masking.dense_gradients == 3
    assert [r.round for r in masking.rounds] == [1, 2, 3]


def test_rigl_by_default_moves_every_hundredth_step_of_three_quarters():
    # 10 epochs of 80 steps: T_end = 600, and step 600 itself is too late
    masking = RigL(bits(1, 1, 1, 1, 0, 0), short(epochs=10, steps=80))
    assert list(drops(masking, 800, 3)) == [100, 200, 300, 400, 500]


@pytest.mark.parametrize(("steps", "moves"), [(134, [100]), (133, [50]), (20, [8]), (3, [2]), (2, [1]), (1, [])])
def test_a_training_too_short_for_one_change_has_one_half_way_to_the_end(steps, moves):
    masking = RigL(bits(1, 1, 1, 1, 0, 0), short(steps=steps))
    assert list(drops(masking, steps, 3)) == moves


def test_a_step_that_the_optimizer_leaves_out_moves_nothing():
    # as fp16's gradient scaling does when a gradient overflows
    model = linear([4.0, 3.0, 0.0, 0.0])
    masking, optimizer = rigl(1, 1, 0, 0, every=1, steps=9, drop=0.9), still(model)
    masking.before_training(model, optimizer)
    model[0].weight.grad = torch.full((1, 4), math.inf)
    masking.after_step()
    assert (masking.rounds, masking.dense_gradients) == ([], 0)


@pytest.mark.parametrize("until", [0.0, 1.5])
def test_rigl_ends_within_the_training(until):
    with pytest.raises(ValueError, match="until: must be above 0 and at most 1"):
        RigL(bits(1, 0), short(), until=until)
