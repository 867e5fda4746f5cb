"""One GPU: a round of pruning beside one captured pass, and whole prunings beside the authors' way."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

import pruning
from benchmarks import networks, plain
from benchmarks.measure import Row, Setup, cost_of, gain, seconds
from pruning.graphs import capture
from pruning.masks import kept_count
from pruning.schedules import kept_counts

SPARSITY, BATCH, ROUNDS, FEW, IMAGES = 0.995, 128, 60, 20, 50_000
NETWORKS = ("vgg19", "resnet50")
OTHERS = {"synflow": 100, "iter_snip": 60}  # their rounds


def run(setup: Setup) -> Iterator[Row]:
    """All rows; none where there is no GPU."""
    if setup.device == "cpu":
        return
    for name in NETWORKS:
        for precision in ("fp32", "bf16"):
            yield round_beside_pass(name, precision, setup.device)
    for name in NETWORKS:
        yield rounds_beside_authors(name, setup.device)
    for name in NETWORKS:
        for method, rounds in OTHERS.items():
            yield whole(name, method, rounds, setup.device)


def draws(device: str, size: int = BATCH) -> Callable[[int], list[tuple[Tensor, Tensor]]]:
    """A fresh augmented batch a round, as a trial draws them."""
    split = networks.memory_split(*networks.pixels(IMAGES), device)
    return lambda step: split.sample(size, torch.Generator().manual_seed(step))


def round_beside_pass(name: str, precision: str, device: str, pairs: int = 3) -> Row:
    """One more round of FORCE on a fresh batch, beside one captured forward and backward pass.

    What a pruning costs once (copies of the network, its first passes, the capture) is in the row against the authors.
    """
    model, draw = networks.build(name, device), draws(device)
    replay = captured_pass(model, draw(1)[0], precision, device)

    def force(rounds: int) -> float:
        def work() -> None:
            pruning.prune(model, "force", SPARSITY, draw, rounds=rounds, precision=precision, loss="logit")

        return seconds(work, device)

    def bare() -> None:
        for _ in range(ROUNDS):
            replay()

    force(FEW)
    bare()
    found = [((force(ROUNDS) - force(FEW)) / (ROUNDS - FEW), seconds(bare, device) / ROUNDS) for _ in range(pairs)]
    title = f"one more FORCE round, {networks.LABEL[name]}, {precision}, beside one captured forward + backward"
    return cost_of("gpu", title, found, at_most=1.4)


def captured_pass(
    model: torch.nn.Module, batch: tuple[Tensor, Tensor], precision: str, device: str
) -> Callable[[], object]:
    """Forward and backward over one batch as a bare CUDA graph."""
    images, labels = batch
    weights = [weight for weight in model.parameters() if weight.dim() > 1]

    def forward_backward() -> tuple[Tensor, ...]:
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision == "bf16"):
            logits = model(images)
        return torch.autograd.grad(F.cross_entropy(logits.float(), labels), weights)

    return capture(forward_backward, torch.device(device)).replay


def rounds_beside_authors(name: str, device: str) -> Row:
    """Images to masks in sixty rounds, beside the authors' way; both in fp32. Theirs is run for fewer rounds."""
    few = 6
    images, labels = networks.pixels(IMAGES)
    model, theirs, draw = (
        networks.build(name, device),
        networks.build(name, device, channels_last=False),
        draws(device),
    )
    total = sum(weight.numel() for weight in pruning.prunable(model).values())
    counts = kept_counts(total, kept_count(total, SPARSITY), few, "exponential")
    batches = plain.loader(images, labels, BATCH)

    def ours() -> None:
        pruning.prune(model, "force", SPARSITY, draw, rounds=ROUNDS, loss="logit")

    def authors() -> None:
        plain.force(theirs, lambda: ((x.to(device), y.to(device)) for x, y in batches), counts)

    row = gain("gpu", "", ours, authors, at_least=15, device=device, pairs=1)
    scale = ROUNDS / few
    title = f"FORCE, {ROUNDS} rounds, {networks.LABEL[name]}, fp32, against the authors' way ({scale:g} × {few} rounds)"
    return replace(
        row,
        name=title,
        value=scale * row.value,
        low=scale * row.low,
        high=scale * row.high,
        reference=scale * (row.reference or 0),
    )


def whole(name: str, method: str, rounds: int, device: str) -> Row:
    """A whole pruning at its authors' number of rounds, in seconds."""
    model, draw = networks.build(name, device), draws(device)

    def ours() -> None:
        pruning.prune(model, method, 0.99, draw, rounds=rounds, input_shape=(3, 32, 32))

    took = seconds(ours, device)
    title = f"{method}, {rounds} rounds, {networks.LABEL[name]}, fp32"
    return Row("gpu", title, took, took, took, unit="s")
