"""A DataLoader gives every round a batch of its own; a list gives the same in all."""

import itertools

import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import pruning
from pruning import arguments

from .networks import batch, convolutional


def examples(count: int = 48) -> TensorDataset:
    generator = torch.Generator().manual_seed(3)
    return TensorDataset(torch.randn(count, 3, 8, 8, generator=generator), torch.arange(count) % 4)


def prune(batches, method="force", **options):
    return pruning.prune(convolutional(), method, 0.9, batches, **options).masks


def same(one: pruning.Masks, other: pruning.Masks) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_every_round_takes_the_next_batch_and_the_first_follows_the_last():
    loader = DataLoader(examples(), batch_size=16)
    parts = list(loader)
    assert len(parts) == 3
    expected = prune(lambda step: [parts[(step - 1) % 3]], rounds=5)
    assert same(prune(loader, rounds=5), expected)
    assert not same(prune(parts, rounds=5), expected)  # a list: all three in every round


def test_a_method_that_needs_several_batches_takes_as_many_a_round():
    parts = list(loader := DataLoader(examples(), batch_size=12))
    assert same(prune(loader, "prospr", steps=3), prune(parts, "prospr", steps=3))
    assert same(prune(loader, "prospr", steps=1), prune(parts[:2], "prospr", steps=1))


def test_a_one_shot_method_reads_one_batch():
    parts = list(loader := DataLoader(examples(), batch_size=12))
    assert same(prune(loader, "snip"), prune(parts[:1], "snip"))


class Endless(IterableDataset):
    def __iter__(self):
        return ((images, images.sum().long() % 4) for images, _ in itertools.cycle(examples(20)))


@pytest.mark.parametrize(
    "endless",
    [lambda: DataLoader(Endless(), batch_size=8), lambda: itertools.cycle(DataLoader(examples(), batch_size=8))],
    ids=["a loader of endless data", "a loader in a cycle"],
)
def test_an_endless_loader_ends_with_the_rounds(endless):
    assert prune(endless(), rounds=9)


def test_a_shuffling_loader_draws_from_the_callers_generator_and_leaves_it_as_it_was():
    model = convolutional()

    def masks(seed: int) -> pruning.Masks:
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        found = pruning.prune(model, "force", 0.9, DataLoader(examples(), batch_size=16, shuffle=True), rounds=7).masks
        assert torch.equal(torch.get_rng_state(), before)
        return found

    assert same(masks(0), masks(0))
    assert not same(masks(0), masks(1))


def test_the_order_is_drawn_again_in_every_pass_over_the_data():
    seen, model = [], convolutional()

    class Recorded(DataLoader):
        def __iter__(self):
            for images, labels in super().__iter__():
                seen.append(images[:, 0, 0, 0].tolist())
                yield images, labels

    torch.manual_seed(5)
    pruning.prune(model, "force", 0.9, Recorded(examples(), batch_size=48, shuffle=True), rounds=4)
    in_pruning = seen[:]
    assert len({tuple(order) for order in in_pruning}) == 4
    seen.clear()
    torch.manual_seed(5)
    loader = Recorded(examples(), batch_size=48, shuffle=True)
    for _ in range(4):
        list(loader)
    assert seen == in_pruning  # as if the caller had read them


def test_workers_of_a_loader_are_fine():
    parts = DataLoader(examples(32), batch_size=16)
    assert same(prune(DataLoader(examples(32), batch_size=16, num_workers=1), rounds=3), prune(parts, rounds=3))


def test_an_empty_loader_and_an_iterator_without_an_end_say_so(monkeypatch):
    with pytest.raises(ValueError, match="^batches: the DataLoader has no batches"):
        prune(DataLoader(examples(4), batch_size=16, drop_last=True), rounds=2)
    monkeypatch.setattr(arguments, "MOST", 50)
    endless = (batch() for _ in itertools.count())
    with pytest.raises(ValueError, match=r"^batches: the iterator has given 50 batches and not ended; pass the DataLo"):
        prune(endless)
    assert prune(lambda step: [next(endless)], rounds=3)


def test_wrong_items_of_a_loader_are_named_with_their_round():
    with pytest.raises(ValueError, match=r"^batches of round 1: number 0 is a Tensor; pass a list of .* a DataLoader"):
        prune(DataLoader(torch.randn(8, 3, 8, 8), batch_size=4), rounds=2)


def test_lists_and_tuples_are_the_same_in_every_round_as_ever():
    pairs = list(DataLoader(examples(), batch_size=16))
    assert same(prune(pairs, rounds=4), prune(lambda step: pairs, rounds=4))
    assert same(prune(tuple(pairs), rounds=4), prune(pairs, rounds=4))
