"""How many weights each layer keeps."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from pruning.scopes import layer_counts


def ones(*shape: int) -> torch.Tensor:
    return torch.ones(*shape, dtype=torch.bool)


def test_layerwise_is_the_same_density_everywhere():
    layers = {"a": ones(10, 10), "b": ones(20, 20)}
    assert layer_counts(layers, 50, "layerwise") == {"a": 10, "b": 40}


def test_what_does_not_divide_goes_to_the_largest_remainders():
    assert layer_counts({"a": ones(3), "b": ones(3), "c": ones(4)}, 5, "layerwise") == {"a": 2, "b": 1, "c": 2}


def test_erk_densities_are_proportional_to_the_sum_over_the_product_of_dimensions():
    layers = {"a": ones(10, 10), "b": ones(20, 20, 3, 3)}  # weights 20/100 and 46/3600: counts ∝ 20 and 46
    assert layer_counts(layers, 33, "erk") == {"a": 10, "b": 23}


def test_erk_keeps_a_small_layer_dense_and_solves_the_rest_again():
    layers = {"tiny": ones(2, 2), "large": ones(100, 100)}
    assert layer_counts(layers, 5000, "erk") == {"tiny": 4, "large": 4996}


@given(
    st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=4), min_size=1, max_size=6),
    st.floats(0, 1),
    st.floats(0, 1),
    st.sampled_from(["layerwise", "erk"]),
)
def test_counts_add_up_and_fit_what_is_still_there(shapes, gone, density, scope):
    generator = torch.Generator().manual_seed(0)
    available = {str(i): torch.rand(shape, generator=generator) >= gone for i, shape in enumerate(shapes)}
    room = {name: int(mask.sum()) for name, mask in available.items()}
    kept = int(density * sum(room.values()))
    counts = layer_counts(available, kept, scope)
    assert sum(counts.values()) == kept
    assert all(0 <= counts[name] <= room[name] for name in room)
