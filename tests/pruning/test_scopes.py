"""How many weights each layer keeps."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import pruning
from pruning.masking import TrainingHorizon
from pruning.masks import count, full, keep_highest, keep_highest_per_layer
from pruning.methods.lottery import Lottery
from pruning.methods.magnitude_after import MagnitudeAfter
from pruning.schedules import kept_counts
from pruning.scopes import check, layer_counts, reserved, select

from .networks import batch, convolutional, residual

SHAPES = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=4), min_size=1, max_size=6)
SEEDS = st.integers(0, 10**6)
FLOORS = st.floats(0, 1)


def ones(*shape: int) -> torch.Tensor:
    return torch.ones(*shape, dtype=torch.bool)


def layers(shapes: list[list[int]], seed: int) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Scores with many ties, of very different scales, and masks that still keep some of the weights."""
    generator = torch.Generator().manual_seed(seed)
    scores, among = {}, {}
    for i, shape in enumerate(shapes):
        scale = 10.0 ** float(torch.randint(-3, 4, (), generator=generator))
        scores[str(i)] = scale * torch.randint(0, 7, shape, generator=generator)
        among[str(i)] = torch.rand(shape, generator=generator) < 0.8
    return scores, among


def counts(masks: dict[str, torch.Tensor]) -> dict[str, int]:
    return {name: int(mask.sum()) for name, mask in masks.items()}


def test_layerwise_is_the_same_density_everywhere():
    assert layer_counts({"a": ones(10, 10), "b": ones(20, 20)}, 50, "layerwise") == {"a": 10, "b": 40}


def test_what_does_not_divide_goes_to_the_largest_remainders():
    assert layer_counts({"a": ones(3), "b": ones(3), "c": ones(4)}, 5, "layerwise") == {"a": 2, "b": 1, "c": 2}


def test_erk_densities_are_proportional_to_the_sum_over_the_product_of_dimensions():
    network = {"a": ones(10, 10), "b": ones(20, 20, 3, 3)}  # weights 20/100 and 46/3600: counts ∝ 20 and 46
    assert layer_counts(network, 33, "erk") == {"a": 10, "b": 23}


def test_erk_keeps_a_small_layer_dense_and_solves_the_rest_again():
    assert layer_counts({"tiny": ones(2, 2), "large": ones(100, 100)}, 5000, "erk") == {"tiny": 4, "large": 4996}


@settings(deadline=None)
@given(SHAPES, FLOORS, FLOORS, st.sampled_from(["layerwise", "erk", "uniform_plus"]))
def test_counts_add_up_and_fit_what_is_still_there(shapes, gone, density, scope):
    generator = torch.Generator().manual_seed(0)
    available = {str(i): torch.rand(shape, generator=generator) >= gone for i, shape in enumerate(shapes)}
    room = counts(available)
    kept = int(density * sum(room.values()))
    found = layer_counts(available, kept, scope)
    assert sum(found.values()) == kept
    assert all(0 <= found[name] <= room[name] for name in room)


# uniform+: 10 weights in the first layer, 100 in the classifier, 890 in the others
PLUS = {"first": ones(5, 2, 1, 1), "b": ones(89, 5, 1, 1), "c": ones(89, 5, 1, 1), "classifier": ones(10, 10)}


def test_uniform_plus_keeps_the_first_layer_dense_and_a_fifth_of_the_classifier():
    # 100 kept: 10 + 20, and 70 are left for 890: 35 and 35
    assert layer_counts(PLUS, 100, "uniform_plus") == {"first": 10, "b": 35, "c": 35, "classifier": 20}


def test_uniform_plus_leaves_the_classifier_as_dense_as_the_others_where_those_pass_a_fifth():
    # 406 kept: 10, and 396 are two fifths of the other 990
    assert layer_counts(PLUS, 406, "uniform_plus") == {"first": 10, "b": 178, "c": 178, "classifier": 40}


def test_uniform_plus_shrinks_what_the_budget_cannot_pay_and_leaves_the_others_half_the_networks_density():
    # 20 kept, d = 0.02: the others keep 0.01 · 890 = 8.9 and pay 8.9 of the 10 · 0.98 + 100 · 0.18 = 27.8 that are
    # wanted, so 0.32 of the way: 10 · (0.02 + 0.32 · 0.98) = 3.3 and 100 · (0.02 + 0.32 · 0.18) = 7.8
    found = layer_counts(PLUS, 20, "uniform_plus")
    assert (found["first"], found["classifier"], found["b"] + found["c"]) == (3, 8, 9)


def test_uniform_plus_of_a_network_without_linear_layers_has_no_classifier():
    found = layer_counts({"first": ones(2, 5, 1), "b": ones(9, 10, 1)}, 30, "uniform_plus")
    assert found == {"first": 10, "b": 20}


def test_uniform_plus_of_two_linear_layers_is_a_dense_layer_and_the_rest():
    assert layer_counts({"a": ones(2, 5), "b": ones(10, 9)}, 20, "uniform_plus") == {"a": 10, "b": 10}


@settings(deadline=None)
@given(SHAPES, st.floats(0, 1))
def test_no_layer_of_uniform_plus_is_below_half_the_networks_density(shapes, density):
    network = {str(i): ones(*shape) for i, shape in enumerate(shapes)}
    total = sum(mask.numel() for mask in network.values())
    kept = int(density * total)
    for name, found in layer_counts(network, kept, "uniform_plus").items():
        assert found > kept / total / 2 * network[name].numel() - 1


@pytest.mark.parametrize("method", ["random", "snip", "iter_snip"])
def test_uniform_plus_is_a_scope_of_every_global_method(method):
    rounds = {"rounds": 4} if pruning.find(method).rounds else {}
    masks = pruning.prune(convolutional(), method, 0.8, [batch()], scope="uniform_plus", **rounds).masks
    kept = counts(masks)  # of 216, 1152 and 64: 286 in all; 216 + 12.8 leave 57.6, which is above half of 0.2 · 1152
    assert sum(kept.values()) == 286
    assert kept["10.weight"] >= 0.2 * 64
    assert kept["4.weight"] >= 0.1 * 1152 - 1
    roomy = counts(pruning.prune(convolutional(), method, 0.5, [batch()], scope="uniform_plus", **rounds).masks)
    assert roomy["0.weight"] == 216


def test_a_floor_reserves_each_layers_own_highest_scores_before_layers_compete():
    # half of what layerwise keeps (2 of 4 each) is reserved, 1 each; the other two go to the highest scores left
    scores = {"a": torch.tensor([9.0, 8.0, 7.0, 6.0]), "b": torch.tensor([0.1, 0.4, 0.3, 0.2])}
    assert counts(select(scores, 4, full(scores), "global")) == {"a": 4, "b": 0}
    masks = select(scores, 4, full(scores), "global", 0.5)
    assert masks["a"].tolist() == [True, True, True, False]
    assert masks["b"].tolist() == [False, True, False, False]


def test_the_smallest_floor_leaves_one_weight_in_every_layer_that_has_any():
    available = {"a": ones(1000), "b": ones(3), "gone": torch.zeros(5, dtype=torch.bool)}
    assert reserved(available, 10, 1e-9) == {"a": 1, "b": 1, "gone": 0}
    assert reserved(available, 2, 1e-9) == {"a": 1, "b": 1, "gone": 0}


def test_a_budget_below_one_weight_a_layer_reserves_none_for_the_smallest():
    assert reserved({"a": ones(1000), "b": ones(3)}, 1, 1e-9) == {"a": 0, "b": 0}


def test_the_largest_reserve_gives_way_to_one_weight_a_layer():
    # layerwise keeps 10, 0 and 0
    assert reserved({"a": ones(1000), "b": ones(3), "c": ones(3)}, 10, 1.0) == {"a": 8, "b": 1, "c": 1}


@settings(deadline=None)
@given(SHAPES, SEEDS, st.data())
def test_no_floor_is_one_global_threshold_to_the_bit(shapes, seed, data):
    scores, among = layers(shapes, seed)
    kept = data.draw(st.integers(0, count(among)))
    found, plain = select(scores, kept, among, "global", 0.0), keep_highest(scores, kept, among)
    assert all(torch.equal(found[name], plain[name]) for name in plain)


@settings(deadline=None)
@given(SHAPES, SEEDS, st.data())
def test_a_floor_of_one_is_the_layerwise_scope_to_the_bit_unless_that_empties_a_layer(shapes, seed, data):
    scores, among = layers(shapes, seed)
    kept = data.draw(st.integers(0, count(among)))
    even = layer_counts(among, kept, "layerwise")
    whole = layer_counts(full(among), kept, "layerwise")
    found = select(scores, kept, among, "global", 1.0)
    if all(0 < whole[name] <= int(mask.sum()) for name, mask in among.items()):
        plain = keep_highest_per_layer(scores, even, among)
        assert all(torch.equal(found[name], plain[name]) for name in plain)
    else:
        short = sum(max(0, whole[name] - int(mask.sum())) for name, mask in among.items())
        assert all(min(whole[n], int(among[n].sum())) - len(whole) <= k for n, k in counts(found).items())
        assert all(k <= whole[n] + short + len(whole) for n, k in counts(found).items())


@settings(deadline=None)
@given(SHAPES, SEEDS, FLOORS, st.data())
def test_with_a_floor_the_count_is_exact_and_every_layer_has_its_share(shapes, seed, floor, data):
    scores, among = layers(shapes, seed)
    kept = data.draw(st.integers(0, count(among)))
    masks, least = select(scores, kept, among, "global", floor), reserved(among, kept, floor)
    assert count(masks) == kept
    for name, mask in masks.items():
        assert not (mask & ~among[name]).any()
        assert int(mask.sum()) >= least[name]
    if floor and kept >= len(shapes):
        assert all(masks[name].any() for name, mask in among.items() if mask.any())


@settings(deadline=None)
@given(SHAPES, SEEDS, FLOORS, st.data())
def test_beyond_their_reserves_all_layers_obey_one_threshold(shapes, seed, floor, data):
    scores, among = layers(shapes, seed)
    kept = data.draw(st.integers(0, count(among)))
    masks, least = select(scores, kept, among, "global", floor), reserved(among, kept, floor)
    removed = [scores[name][among[name] & ~mask] for name, mask in masks.items()]
    highest_removed = max((float(s.max()) for s in removed if s.numel()), default=-1.0)
    for name, mask in masks.items():
        own = scores[name][among[name] & ~mask]
        if mask.any() and own.numel():
            assert scores[name][mask].min() >= own.max()
        if int(mask.sum()) > least[name]:
            assert scores[name][mask].min() >= highest_removed


@settings(deadline=None)
@given(SHAPES, SEEDS, FLOORS, FLOORS, st.data())
def test_a_higher_floor_reserves_no_less_of_any_layer(shapes, seed, one, other, data):
    _, among = layers(shapes, seed)
    kept = data.draw(st.integers(0, count(among)))
    even = layer_counts(among, kept, "layerwise")
    assume(all(even[name] for name, mask in among.items() if mask.any()))
    low, high = (reserved(among, kept, floor) for floor in sorted((one, other)))
    assert all(low[name] <= high[name] for name in low)


def test_a_floor_is_a_share_of_the_networks_density_in_every_round_not_of_what_is_left():
    generator = torch.Generator().manual_seed(0)
    scores = {"a": torch.rand(1000, generator=generator) + 1, "b": torch.rand(1000, generator=generator)}
    masks = full(scores)
    for step, least in enumerate([126, 80, 50, 32, 20], start=1):
        masks = select(scores, round(2000 * 0.1 ** (step / 5)), masks, "global", 0.2)
        assert counts(masks)["b"] >= least
    assert counts(masks) == {"a": 180, "b": 20}


def holds(masks: dict[str, torch.Tensor], floor: float) -> bool:
    """Whether every layer has its share of the network's density, to the weight that rounding may take."""
    density = count(masks) / sum(mask.numel() for mask in masks.values())
    return all(int(mask.sum()) >= int(floor * density * mask.numel()) - 1 for mask in masks.values())


@settings(deadline=None)
@given(SHAPES, SEEDS, FLOORS, st.floats(0.01, 0.99), st.integers(1, 30), st.booleans())
def test_a_floor_holds_after_every_round_whatever_the_scores_of_each(shapes, seed, floor, density, rounds, recover):
    generator = torch.Generator().manual_seed(seed)
    sizes = {str(i): torch.Size(shape) for i, shape in enumerate(shapes)}
    total = sum(size.numel() for size in sizes.values())
    masks = full({name: torch.empty(size) for name, size in sizes.items()})
    for kept in kept_counts(total, max(len(sizes), round(density * total)), rounds, "exponential"):
        scales = torch.randn(len(sizes), generator=generator).mul(9).exp()  # other layers come last in every round
        scores = {
            name: scale * torch.rand(size, generator=generator)
            for scale, (name, size) in zip(scales, sizes.items(), strict=True)
        }
        masks = select(scores, kept, None if recover else masks, "global", floor)
        assert count(masks) == kept
        least = sum(max(1, int(floor * kept / total * size.numel()) - 1) for size in sizes.values())
        assert holds(masks, floor) or least > kept  # one weight of each small layer may leave too few for a large one
        assert not floor or all(mask.any() for mask in masks.values())


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["iter_snip", "iter_grasp", "force", "synflow"]),
    st.sampled_from([convolutional, residual]),
    st.integers(1, 12),
    FLOORS,
    st.floats(0.5, 0.99),
)
def test_a_floor_holds_at_the_end_of_any_number_of_rounds_in_every_progressive_method(
    method, network, rounds, floor, sparsity
):
    pruned = pruning.prune(network(), method, sparsity, lambda step: [batch(step)], rounds=rounds, floor=floor)
    assert holds(pruned.masks, floor)


@settings(max_examples=10, deadline=None)
@given(st.sampled_from([Lottery, MagnitudeAfter]), st.integers(2, 12), st.floats(0.1, 1))  # type: ignore[list-item]
def test_a_floor_holds_over_the_rounds_after_training(kind, rounds, floor):
    model = convolutional()
    model[4].weight.data.mul_(1e-3)  # the first to go in every round
    masking = kind(
        full(pruning.prunable(model)), TrainingHorizon(0.95, 3, 1, torch.Generator()), rounds=rounds, floor=floor
    )
    if kind is Lottery:
        masking.before_training(model, torch.optim.SGD(model.parameters(), 0.1))
    for _ in range(rounds):
        masking.after_training(model)
        assert holds(masking.masks, floor)
    assert len(masking.rounds) == rounds


@pytest.mark.parametrize("floor", [-0.1, 1.1, float("nan")])
def test_a_floor_outside_zero_to_one_is_refused(floor):
    with pytest.raises(ValueError, match="^floor: "):
        pruning.prune(convolutional(), "snip", 0.9, [batch()], floor=floor)
    with pytest.raises(ValueError, match=r"^floor: a share of the network's density, in \[0, 1\], not"):
        check("global", floor)


def test_a_floor_beside_a_scope_that_fixes_every_layers_count_is_refused():
    with pytest.raises(ValueError, match="^floor: scope erk fixes how many weights each layer keeps"):
        pruning.prune(convolutional(), "snip", 0.9, [batch()], scope="erk", floor=0.5)


@pytest.mark.parametrize("scope", ["global", "layerwise"])
def test_scores_that_are_no_numbers_are_refused_whatever_the_scope(scope):
    scores = {"a": torch.ones(4), "b": torch.tensor([1.0, torch.nan])}
    with pytest.raises(ValueError, match="the scores of b are not numbers"):
        select(scores, 3, full(scores), scope)


def test_weights_that_are_no_numbers_after_a_training_are_refused_by_name():
    model = convolutional()
    masking = MagnitudeAfter(full(pruning.prunable(model)), TrainingHorizon(0.5, 1, 1, torch.Generator()))
    model[4].weight.data[0] = torch.nan
    with pytest.raises(ValueError, match="the scores of 4.weight are not numbers"):
        masking.after_training(model)
