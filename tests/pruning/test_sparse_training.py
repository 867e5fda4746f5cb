"""SET by hand, and what SET and RigL have in common: exact layer counts, and grown weights that start at zero."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import pruning
from pruning.masks import count, kept_count
from pruning.methods.sparse_evolution import SparseEvolution
from pruning.scopes import layer_counts
from training import loop

from .networks import linear
from .steps import active, bits, short, step, still
from .trainings import accuracy, fit, horizon, masking_of, vgg

METHODS = ["set", "rigl"]


# --- SET


def test_set_drops_the_share_of_smallest_weights_after_an_epoch_and_grows_as_many_at_random():
    # 4 active, ζ = 0.5: |θ| = 1 and 2 go; of 0, 3, 4, 5 those with the two highest of the generator's numbers come
    model = linear([-1.0, 4.0, 3.0, -2.0, 9.0, 9.0])
    draws = torch.rand((1, 6), generator=torch.Generator().manual_seed(3), dtype=torch.float64)[0].tolist()
    masking = SparseEvolution(bits(1, 1, 1, 1, 0, 0), short(epochs=2, seed=3), drop=0.5)
    masking.before_training(model, still(model))
    masking.after_epoch(1)
    assert active(masking) == sorted([1, 2, *sorted([0, 3, 4, 5], key=lambda i: -draws[i])[:2]])
    stayed = [value if i in active(masking) else 0.0 for i, value in enumerate([-1.0, 4.0, 3.0, -2.0, 0.0, 0.0])]
    assert model[0].weight.tolist() == [stayed]


def test_set_grows_every_inactive_weight_with_the_same_chance():
    grown = torch.zeros(9)
    for seed in range(400):
        model = linear([2.0, 1.0, 1.0] + [0.0] * 6)
        masking = SparseEvolution(bits(1, 1, 1, 0, 0, 0, 0, 0, 0), short(epochs=2, seed=seed), drop=0.7)
        masking.before_training(model, still(model))
        masking.after_epoch(1)
        grown[active(masking)] += 1
    assert grown[0] == 400
    assert grown[1:].min() > 70  # each of 8 places is drawn twice in 8: 100 times, give or take 9
    assert grown[1:].max() < 130


def test_set_zeroes_the_momentum_of_grown_weights_too():
    model = linear([1.0, 0.0])
    optimizer = still(model, momentum=0.9)
    masking = SparseEvolution(bits(1, 0), short(epochs=2, seed=1), drop=0.9)
    masking.before_training(model, optimizer)
    step(model, masking, optimizer, 3.0, 3.0)
    masking.after_epoch(1)
    assert active(masking) == [1]  # with this seed
    assert optimizer.state[model[0].weight]["momentum_buffer"].tolist() == [[3.0, 0.0]]


@pytest.mark.parametrize(
    ("epochs", "every", "moves"),
    [(5, 1, [1, 2, 3, 4]), (5, 2, [2, 4]), (6, 3, [3]), (4, 4, [2]), (5, 100, [3]), (1, 1, [])],
)
def test_set_moves_after_every_so_many_epochs_and_never_after_the_last(epochs, every, moves):
    model = linear([1.0, 2.0, 3.0, 4.0])
    masking, found = SparseEvolution(bits(1, 1, 0, 0), short(epochs=epochs), every=every), []
    masking.before_training(model, still(model))
    for epoch in range(1, epochs + 1):
        masking.after_epoch(epoch)
        if len(masking.rounds) > len(found):
            found.append(epoch)
    assert found == moves
    assert masking.dense_gradients == 0


# --- both


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(METHODS),
    st.floats(0.05, 0.95),
    st.floats(0.05, 0.95),
    st.sampled_from(["sgd", "nesterov", "adam"]),
    st.integers(0, 1000),
)
def test_layer_counts_never_change_and_grown_weights_start_at_zero(method, sparsity, drop, kind, seed):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 5))
    parameters = list(model.parameters())
    optimizer = {
        "sgd": lambda: torch.optim.SGD(parameters, 0.1, momentum=0.9, weight_decay=0.1),
        "nesterov": lambda: torch.optim.SGD(parameters, 0.1, momentum=0.9, nesterov=True),
        "adam": lambda: torch.optim.Adam(parameters, 0.1, weight_decay=0.1),
    }[kind]()
    its = pruning.TrainingHorizon(sparsity, 3, 3, torch.Generator().manual_seed(seed))
    masks = pruning.prune(model, method, sparsity).masks
    masking = pruning.find(method).masking(masks, its, drop=drop, every=1)  # type: ignore[call-arg]
    before = {name: int(mask.sum()) for name, mask in masks.items()}
    weights, last = pruning.prunable(model), masks

    def check() -> None:
        nonlocal last
        for name, mask in masking.masks.items():
            assert int(mask.sum()) == before[name]
            assert not weights[name][~mask].any()
            grown = mask & ~last[name]
            assert not weights[name][grown].any()
            for value in optimizer.state[weights[name]].values():
                assert value is None or value.shape != mask.shape or not value[grown].any()
        last = masking.masks

    masking.before_training(model, optimizer)
    for epoch in (1, 2, 3):
        for _ in range(3):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(torch.randn(4, 2, 4, 4)), torch.tensor([0, 1, 2, 3])).backward()
            optimizer.step()
            masking.after_step()
            check()
        masking.after_epoch(epoch)
        check()


@pytest.mark.parametrize("method", METHODS)
def test_a_dense_layer_does_not_change(method):
    model = linear([3.0, -1.0, 2.0])
    optimizer = still(model, momentum=0.9)
    masking = pruning.find(method).masking(bits(1, 1, 1), short(epochs=3, steps=1), drop=0.9, every=1)  # type: ignore[call-arg]
    masking.before_training(model, optimizer)
    for epoch in (1, 2, 3):
        step(model, masking, optimizer, 1.0, 1.0, 1.0)
        masking.after_epoch(epoch)
    assert len(masking.rounds) == 2
    assert model[0].weight.tolist() == [[3.0, -1.0, 2.0]]
    assert optimizer.state[model[0].weight]["momentum_buffer"].tolist() == [pytest.approx([2.71] * 3)]


@pytest.mark.parametrize("method", METHODS)
def test_the_start_has_the_layer_counts_of_erk(method):
    model = vgg()
    masks = pruning.prune(model, method, 0.9).masks
    expected = layer_counts(masking_of("imp", model, horizon(0.9)).masks, count(masks), "erk")
    assert {name: int(mask.sum()) for name, mask in masks.items()} == expected


@pytest.mark.parametrize("method", METHODS)
def test_a_real_training_moves_the_mask_learns_and_keeps_the_count(method):
    model, its = vgg(), horizon(0.8)
    options = {"every": 3} if method == "rigl" else {}
    masking = masking_of(method, model, its, **options)
    start = masking.masks
    [results] = fit(model, masking)
    total = sum(weight.numel() for weight in pruning.prunable(model).values())
    assert accuracy(model) > 0.5
    assert count(masking.masks) == kept_count(total, 0.8)
    assert len(results) == 3
    # SET after epochs 1 and 2; RigL every third of 36 steps, below 27
    assert len(masking.rounds) == {"set": 2, "rigl": 8}[method]
    assert masking.dense_gradients == {"set": 0, "rigl": 8}[method]
    assert all(r.kept == count(masking.masks) and r.revived == r.lost > 0 for r in masking.rounds)
    assert any(not torch.equal(start[name], mask) for name, mask in masking.masks.items())
    assert not any(weight[~masking.masks[name]].any() for name, weight in pruning.prunable(model).items())


@pytest.mark.parametrize("method", METHODS)
def test_the_same_generator_gives_the_same_network(method):
    networks = []
    for _ in range(2):
        model = vgg()
        fit(model, masking_of(method, model, horizon(0.8)))
        networks.append(model.state_dict())
    assert all(torch.equal(networks[0][name], networks[1][name]) for name in networks[0])


@pytest.mark.parametrize("method", METHODS)
def test_the_loop_reports_a_training_that_diverges(method):
    model = vgg()
    recipe = loop.TrainConfig(epochs=3, batch_size=64, learning_rate=1e30)
    masking = masking_of(method, model, horizon(0.8, recipe), every=1)
    with pytest.raises(loop.Diverged):
        fit(model, masking, recipe)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"drop": 0.0}, "drop: must lie between 0 and 1, not 0.0"),
        ({"drop": 1.0}, "drop: must lie between 0 and 1, not 1.0"),
        ({"every": 0}, "every: must be at least 1, not 0"),
    ],
)
def test_an_option_out_of_range_is_refused(method, options, message):
    with pytest.raises(ValueError, match=message):
        pruning.find(method).masking(bits(1, 0), short(), **options)


@pytest.mark.parametrize("method", METHODS)
def test_a_random_start_cannot_be_inverted(method):
    its = pruning.TrainingHorizon(0.5, 1, 8, torch.Generator(), invert=True)
    with pytest.raises(ValueError, match="ablation: 'invert' keeps the lowest scores, but this method starts from"):
        pruning.find(method).masking(bits(1, 0), its)
