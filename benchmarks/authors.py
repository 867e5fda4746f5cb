"""The FORCE authors' way, as :mod:`benchmarks.plain` has it: whole FORCE, and an epoch of training under a mask."""

from collections.abc import Iterator

import torch
from torch import Tensor

import pruning
from benchmarks import networks, plain
from benchmarks.measure import Row, Setup, gain
from pruning.compaction.compaction import compact
from pruning.compaction.narrowing import WIDTH
from pruning.masks import kept_count
from pruning.schedules import kept_counts
from training import loop
from training.config import TrainConfig
from training.splits import Splits

SPARSITY = {"vgg19": 0.995, "resnet50": 0.995, "resnet20": 0.9}  # above that ResNet-20 collapses in so few rounds
ROUNDS = {"vgg19": 6, "resnet50": 3, "resnet20": 20}  # a few are enough to tell the ratio
IMAGES = 1280  # of an epoch


def run(setup: Setup) -> Iterator[Row]:
    """All rows. At length, sixty rounds."""
    for name, few in ROUNDS.items():
        rounds = 60 if setup.full else few
        for precision in ("fp32", "bf16"):
            yield pruned(name, precision, rounds, setup.device, pairs=1 if setup.full else 3)
    yield epoch(False, setup)
    yield epoch(True, setup)


def pruned(name: str, precision: str, rounds: int, device: str, pairs: int) -> Row:
    """Images to masks, ``rounds`` rounds, beside the authors' way of doing it in fp32."""
    size, sparsity = networks.BATCH[name], SPARSITY[name]
    images, labels = networks.pixels(20_000)
    ours_model, their_model = networks.build(name, device), networks.build(name, device, channels_last=False)
    total = sum(weight.numel() for weight in pruning.prunable(ours_model).values())
    counts = kept_counts(total, kept_count(total, sparsity), rounds, "exponential")
    split = networks.memory_split(images, labels, device)
    batches = plain.loader(images, labels, size)

    def ours() -> None:
        def draw(step: int) -> list[tuple[Tensor, Tensor]]:
            return split.sample(size, torch.Generator().manual_seed(step))

        pruning.prune(ours_model, "force", sparsity, draw, rounds=rounds, precision=precision, loss="logit")

    def theirs() -> None:
        plain.force(their_model, lambda: ((x.to(device), y.to(device)) for x, y in batches), counts)

    title = f"FORCE, {rounds} rounds, {networks.LABEL[name]}, {precision}, against the authors' way in fp32"
    warm_up = 0 if rounds == 60 else 1  # of which the first few are one
    target = None if name == "resnet20" else {"fp32": 1.6, "bf16": 4.0}[precision]
    return gain("authors", title, ours, theirs, at_least=target, device=device, pairs=pairs, warm_up=warm_up)


def epoch(compacted: bool, setup: Setup) -> Row:
    """An epoch of ResNet-20 under a FORCE mask, whole or of the smaller network that it leaves, in fp32."""
    pixels, labels = networks.pixels(IMAGES)
    split = networks.memory_split(pixels, labels, setup.device)
    config, splits = TrainConfig(epochs=1), Splits(split, None, split)
    model, theirs = (networks.build("resnet20", setup.device, channels_last=last) for last in (True, False))
    masks = networks.force_masks("resnet20", 0.99, setup)
    plain.block(theirs, [mask.float() for mask in masks.values()])
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    batches, how = plain.loader(pixels, labels, config.batch_size), "whole"
    if compacted:
        small = compact(model, masks, (3, 32, 32), multiple_of=WIDTH)
        if small is None:
            raise RuntimeError("FORCE left every channel alive")
        model, masks, how = small.model, small.masks, f"compacted to {small.macs / small.macs_dense:.0%} of MACs"
    masking = pruning.FixedMask(masks)
    return gain(
        "authors",
        f"epoch, ResNet-20, fp32, FORCE at 99 %, {how}, against the authors' way",
        lambda: list(loop.train(model, splits, config, 0, masking=masking, device=setup.device)),
        lambda: plain.epoch(theirs, optimizer, batches, setup.device),
        device=setup.device,
    )
