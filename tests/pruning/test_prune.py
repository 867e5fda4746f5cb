"""pruning.prune as a library function: arguments, errors and results."""

import pytest
import torch
from torch import nn

import pruning

from .networks import batch, convolutional, linear, squared


def test_five_lines_prune_any_module():
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 32), nn.ReLU(), nn.Linear(32, 4))
    pruned = pruning.prune(model, "force", 0.99, [batch()], rounds=5)
    pruning.apply(model, pruned.masks)
    assert sum(int((w != 0).sum()) for w in pruning.prunable(model).values()) == 6272 - round(0.99 * 6272)


@pytest.mark.parametrize("sparsity", [-0.1, 1.0, 90])
def test_a_sparsity_outside_zero_to_one_is_refused(sparsity):
    with pytest.raises(ValueError, match=r"a fraction in \[0, 1\)"):
        pruning.prune(convolutional(), "snip", sparsity, [batch()])


def test_a_method_that_needs_data_says_so():
    with pytest.raises(ValueError, match="scores weights on data"):
        pruning.prune(convolutional(), "snip", 0.5)


def test_grasp_without_data_says_so_too():
    with pytest.raises(ValueError, match="scores weights on data"):
        pruning.prune(convolutional(), "grasp", 0.5)


def test_synflow_takes_the_input_shape_instead_of_data():
    by_shape = pruning.prune(convolutional(), "synflow", 0.9, input_shape=(3, 8, 8), rounds=5).masks
    by_batch = pruning.prune(convolutional(), "synflow", 0.9, [batch()], rounds=5).masks
    assert all(torch.equal(by_shape[name], by_batch[name]) for name in by_shape)
    with pytest.raises(ValueError, match="needs the shape of an input"):
        pruning.prune(convolutional(), "synflow", 0.9)


def test_a_model_with_nothing_to_prune_is_refused():
    with pytest.raises(ValueError, match="nothing to prune"):
        pruning.prune(nn.Sequential(nn.ReLU()), "magnitude", 0.5)


def test_batches_may_be_drawn_again_every_round():
    seen = []

    def supply(step: int):
        seen.append(step)
        return [batch(step)]

    pruning.prune(convolutional(), "force", 0.9, supply, rounds=4)
    assert seen == [1, 2, 3, 4]


def test_an_iterator_of_batches_is_read_once_and_serves_every_pass():
    masks = pruning.prune(convolutional(), "grasp", 0.9, iter([batch(0), batch(1)])).masks
    again = pruning.prune(convolutional(), "grasp", 0.9, [batch(0), batch(1)]).masks
    assert all(torch.equal(masks[name], again[name]) for name in masks)


def test_one_batch_instead_of_a_list_of_them_says_what_is_meant():
    with pytest.raises(ValueError, match=r"such as \[\(images, labels\)\]"):
        pruning.prune(convolutional(), "snip", 0.9, batch())


def test_pruning_works_where_gradients_are_off():
    with torch.no_grad():
        off = pruning.prune(convolutional(), "snip", 0.9, [batch()]).masks
    on = pruning.prune(convolutional(), "snip", 0.9, [batch()]).masks
    assert all(torch.equal(off[name], on[name]) for name in on)


def test_a_model_in_half_precision_is_refused():
    with pytest.raises(ValueError, match=r"prune model.float\(\)"):
        pruning.prune(convolutional().bfloat16(), "magnitude", 0.9)


def test_passes_that_belong_together_drop_the_same_units():
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 32), nn.Dropout(0.5), nn.Linear(32, 4))
    problem = pruning.Problem(model, nn.functional.cross_entropy, torch.Generator().manual_seed(1), None)
    problem.batches = [batch(0), batch(1)]
    first, second = problem.gradients(), problem.gradients()
    assert all(torch.equal(first[name], second[name]) for name in first)
    problem.round = 1
    assert not torch.equal(problem.gradients()["1.weight"], first["1.weight"])


def test_passes_count_every_forward_and_backward_over_a_batch():
    data = [batch(0), batch(1)]
    assert pruning.prune(convolutional(), "random", 0.9, data).passes == 0
    assert pruning.prune(convolutional(), "snip", 0.9, data).passes == 4
    assert pruning.prune(convolutional(), "force", 0.9, data, rounds=3).passes == 12
    assert pruning.prune(convolutional(), "grasp", 0.9, data).passes == 4 + 6
    assert pruning.prune(convolutional(), "synflow", 0.9, data, rounds=3).passes == 6


@pytest.mark.parametrize(
    ("method", "rounds", "work"),
    [
        ("dense", 0, 0),
        ("random", 0, 0),
        ("erk", 0, 0),
        ("magnitude", 0, 0),
        ("snip", 0, 1 + 2),  # forward, backward
        ("grasp", 0, (1 + 2) + (1 + 2 + 2)),  # g; then forward, g with its graph, and the gradient of gᵀg
        ("iter_snip", 4, 4 * 3),
        ("force", 4, 4 * 3),
        ("iter_grasp", 4, 4 * 3),
    ],
)
def test_work_is_a_forward_pass_an_input_and_two_for_every_backward_pass(method, rounds, work):
    data = [batch(0, size=16), batch(1, size=5)]
    options = {"rounds": rounds} if rounds else {}
    sparsity = 0.9 if pruning.find(method).removes else 0.0
    assert pruning.prune(convolutional(), method, sparsity, data, **options).work == work * 21


def test_synflow_works_on_one_input_a_round_whatever_the_batches():
    assert pruning.prune(convolutional(), "synflow", 0.9, [batch(size=16)], rounds=7).work == 7 * 3


def test_fresh_batches_are_counted_by_their_own_size():
    def supply(step: int):
        return [batch(step, size=10 * step)]

    assert pruning.prune(convolutional(), "force", 0.9, supply, rounds=3).work == 3 * (10 + 20 + 30)


def test_the_force_objective_of_a_round_is_that_of_the_mask_that_it_starts_from():
    # y = 1·3 + (−2)·1 = 1, t = 0: g = (3, 1), Σ|θg| = 5; without the second weight y = 3: g = (9, 3), Σ c|θg| = 9
    data = [(torch.tensor([[3.0, 1.0]]), torch.tensor([[0.0]]))]
    pruned = pruning.prune(linear([1.0, -2.0]), "force", 0.5, data, loss=squared, rounds=2, schedule="linear")
    assert [r.kept for r in pruned.rounds] == [2, 1]
    assert [r.force_objective for r in pruned.rounds] == [5.0, 5.0]
    more = pruning.prune(linear([1.0, -2.0]), "force", 0.5, data, loss=squared, rounds=5)
    assert [(r.kept, r.force_objective) for r in more.rounds] == [(2, 5.0), (2, 5.0), (1, 5.0), (1, 9.0), (1, 9.0)]
    assert [r.force_objective for r in pruning.prune(linear([1.0, -2.0]), "synflow", 0.5, data, rounds=2).rounds] == [
        None,
        None,
    ]


def test_channels_last_models_are_pruned_like_contiguous_ones():
    plain = pruning.prune(convolutional(), "magnitude", 0.9).masks
    last = pruning.prune(convolutional().to(memory_format=torch.channels_last), "magnitude", 0.9).masks
    assert all(torch.equal(plain[name], last[name]) for name in plain)


def test_eval_mode_scores_with_running_statistics():
    model = convolutional()
    model[1].running_var.fill_(9.0)
    train = pruning.prune(model, "snip", 0.9, [batch()]).masks
    running = pruning.prune(model, "snip", 0.9, [batch()], train_mode=False).masks
    assert any(not torch.equal(train[name], running[name]) for name in train)
