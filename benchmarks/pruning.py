"""Pruning: a FORCE round beside a bare forward and backward pass, and whole FORCE beside the authors' way."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

import pruning
from benchmarks import networks, plain
from benchmarks.measure import Row, Setup, cost, gain
from pruning.masks import kept_count
from pruning.schedules import kept_counts

SPARSITY = 0.995
LABEL = {"vgg19": "VGG-19", "resnet50": "ResNet-50"}
AT_LEAST = {"fp32": 1.6, "bf16": 4.0}


def run(setup: Setup) -> Iterator[Row]:
    """All rows. At length, sixty rounds, where a few are enough to tell the ratio."""
    for name in LABEL:
        for precision in ("fp32", "bf16"):
            yield round_beside_bare(name, precision, setup.device)
    for name in LABEL:
        rounds = 60 if setup.full else {"vgg19": 6, "resnet50": 3}[name]
        for precision in ("fp32", "bf16"):
            yield beside_authors(name, precision, rounds, setup.device, pairs=1 if setup.full else 3)


def round_beside_bare(name: str, precision: str, device: str, rounds: int = 4) -> Row:
    """``rounds`` FORCE rounds on one batch, the set-up included, beside as many bare passes over it."""
    model, (images, labels) = networks.build(name, device), networks.batch(networks.BATCH[name], device)

    def ours() -> None:
        pruning.prune(model, "force", SPARSITY, [(images, labels)], rounds=rounds, precision=precision)

    def bare() -> None:
        for _ in range(rounds):
            model.zero_grad()
            with torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=precision == "bf16"):
                logits = model(images)
            F.cross_entropy(logits.float(), labels).backward()

    title = f"FORCE round, {LABEL[name]}, {precision}, beside a bare forward + backward"
    return cost("pruning", title, ours, bare, at_most=1.10, device=device)


def beside_authors(name: str, precision: str, rounds: int, device: str, pairs: int) -> Row:
    """Images to masks, ``rounds`` rounds, beside the authors' way of doing it in fp32."""
    size = networks.BATCH[name]
    images, labels = networks.pixels(20_000)
    ours_model, their_model = networks.build(name, device), networks.build(name, device, channels_last=False)
    total = sum(weight.numel() for weight in pruning.prunable(ours_model).values())
    counts = kept_counts(total, kept_count(total, SPARSITY), rounds, "exponential")
    split = networks.memory_split(images, labels, device)
    batches = plain.loader(images, labels, size)

    def ours() -> None:
        def draw(step: int) -> list[tuple[Tensor, Tensor]]:
            return split.sample(size, torch.Generator().manual_seed(step))

        pruning.prune(ours_model, "force", SPARSITY, draw, rounds=rounds, precision=precision)

    def theirs() -> None:
        plain.force(their_model, lambda: ((x.to(device), y.to(device)) for x, y in batches), SPARSITY, rounds, counts)

    title = f"FORCE, {rounds} rounds, {LABEL[name]}, {precision}, against the authors' way in fp32"
    warm_up = 0 if rounds == 60 else 1  # of which the first few are one
    return gain(
        "pruning", title, ours, theirs, at_least=AT_LEAST[precision], device=device, pairs=pairs, warm_up=warm_up
    )
