"""The result of pruning is applied and held as it is: exactly zero weights in any training loop, and a useful repr."""

import math

import pytest
import torch
from torch import nn

import pruning

from .networks import batch, convolutional

IMAGES, LABELS = batch()


def pruned_network():
    model = convolutional()
    return model, pruning.prune(model, "snip", 0.9, [(IMAGES, LABELS)])


def removed(model, pruned) -> torch.Tensor:
    weights = dict(model.named_parameters())
    return torch.cat([weights[name][~mask] for name, mask in pruned.masks.items()])


def step(model, optimizer) -> None:
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(IMAGES), LABELS).backward()
    optimizer.step()


def test_a_result_is_applied_as_its_masks_are():
    model, pruned = pruned_network()
    again = convolutional()
    again.load_state_dict(model.state_dict())
    pruning.apply(model, pruned)
    pruning.apply(again, pruned.masks)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    assert not removed(model, pruned).any()


def test_a_result_is_compacted_as_its_masks_are():
    model = convolutional()
    pruned = pruning.prune(model, "snip", 0.99, [(IMAGES, LABELS)])
    one, other = (pruning.compact(model, masks, (3, 8, 8)) for masks in (pruned, pruned.masks))
    assert (one.weights, one.macs) == (other.weights, other.macs)


def test_what_is_no_mask_is_refused_by_name():
    with pytest.raises(ValueError, match=r"^masks: a dict of bool tensors .* not \[0.9\]$"):
        pruning.apply(convolutional(), [0.9])


OPTIMIZERS = {
    "SGD with momentum and weight decay": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.1),
    "Nesterov": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
    "AdamW": lambda p: torch.optim.AdamW(p, 0.01),
    "Adam, one tensor at a time": lambda p: torch.optim.Adam(p, 0.01, foreach=False),
}


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_removed_weights_are_zero_after_every_step_inside_and_free_afterwards(make):
    model, pruned = pruned_network()
    optimizer = make(model.parameters())
    assert removed(model, pruned).any()
    with pruning.held(model, pruned, optimizer):
        assert not removed(model, pruned).any()
        for _ in range(3):
            step(model, optimizer)
            assert not removed(model, pruned).any()
    step(model, optimizer)
    assert removed(model, pruned).any()


def test_holding_trains_as_applying_after_every_step_does():
    (held, pruned), (applied, _) = pruned_network(), pruned_network()
    one, other = (torch.optim.SGD(m.parameters(), 0.1, momentum=0.9) for m in (held, applied))
    pruning.apply(applied, pruned)
    torch.manual_seed(0)
    with pruning.held(held, pruned.masks, one):
        for _ in range(4):
            step(held, one)
    torch.manual_seed(0)
    for _ in range(4):
        step(applied, other)
        pruning.apply(applied, pruned.masks)
    assert all(torch.equal(a, b) for a, b in zip(held.parameters(), applied.parameters(), strict=True))


def test_the_hook_is_gone_after_an_error_too():
    model, pruned = pruned_network()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with pytest.raises(RuntimeError, match="out of memory"), pruning.held(model, pruned, optimizer):
        raise RuntimeError("out of memory")
    assert not optimizer._optimizer_step_post_hooks


def test_a_removed_weight_that_is_not_finite_is_zero_after_the_step():
    model, pruned = pruned_network()
    optimizer = torch.optim.SGD(model.parameters(), 1.0)
    with pruning.held(model, pruned, optimizer):
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, math.inf)
        optimizer.step()
    assert torch.equal(removed(model, pruned), torch.zeros_like(removed(model, pruned)))


def test_an_optimizer_of_another_model_is_refused():
    model, pruned = pruned_network()
    other = torch.optim.SGD(convolutional().parameters(), 0.1)
    with (
        pytest.raises(ValueError, match="none of the masked weights: it was made for another model"),
        pruning.held(model, pruned, other),
    ):
        pass
    assert removed(model, pruned).any()


def test_masks_of_another_network_are_refused():
    model, _ = pruned_network()
    masks = {"0.weight": torch.ones(1, dtype=torch.bool)}
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with pytest.raises(ValueError, match=r"shape \[1\].*another network"), pruning.held(model, masks, optimizer):
        pass


def test_a_result_says_in_one_line_what_it_is():
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 10, bias=False))
    pruned = pruning.prune(model, "force", 0.9, [(IMAGES, LABELS)], rounds=4)
    assert repr(pruned).startswith("Pruned(sparsity=0.9, kept=192 of 1,920 weights, layers=1, rounds=4, passes=8, sec")
    assert pruned.sparsity == pytest.approx(0.9)


def test_layers_are_rows_with_name_shape_kept_and_density():
    _, pruned = pruned_network()
    rows = pruned.layers()
    assert [row.name for row in rows] == list(pruned.masks)
    assert sum(row.kept for row in rows) == sum(int(mask.sum()) for mask in pruned.masks.values())
    assert rows[0] == ("0.weight", (8, 3, 3, 3), int(pruned.masks["0.weight"].sum()), rows[0].kept / 216)
    assert rows[0].density == pytest.approx(rows[0].kept / math.prod(rows[0].shape))
