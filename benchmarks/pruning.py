"""Pruning: a FORCE round beside a bare forward and backward pass."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F

import pruning
from benchmarks import networks
from benchmarks.measure import Row, Setup, cost

SPARSITY = 0.995


def run(setup: Setup) -> Iterator[Row]:
    """All rows."""
    for name in ("vgg19", "resnet50"):
        for precision in ("fp32", "bf16"):
            yield round_beside_bare(name, precision, setup.device)


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

    title = f"FORCE round, {networks.LABEL[name]}, {precision}, beside a bare forward + backward"
    return cost("pruning", title, ours, bare, at_most=1.10, device=device)
