"""What the machine can do at the most, and how much of it a forward and backward pass gets."""

from collections.abc import Callable, Iterator
from functools import partial
from statistics import median

import torch
import torch.nn.functional as F

from benchmarks import networks
from benchmarks.measure import Row, Setup, seconds
from pruning.macs import macs, positions
from pruning.masks import prunable

SIDE, FLOATS = 3072, 50_000_000
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
LABEL = {"vgg19": "VGG-19", "resnet50": "ResNet-50"}


def run(setup: Setup) -> Iterator[Row]:
    """Peaks first, then the networks'."""
    for precision, dtype in DTYPES.items():
        one = torch.randn(SIDE, SIDE, device=setup.device, dtype=dtype)
        product = partial(torch.matmul, one, one)
        yield _rate(f"peak, {precision}: a product of two {SIDE}x{SIDE} matrices", 2 * SIDE**3, product, setup)
    many = torch.randn(FLOATS, device=setup.device)
    there = torch.empty_like(many)
    yield _rate("peak, memory: a copy, read and written", 8 * FLOATS, lambda: there.copy_(many), setup, "GB/s")
    for name, label in LABEL.items():
        for precision in DTYPES:
            yield _passes(name, label, precision, setup)


def _passes(name: str, label: str, precision: str, setup: Setup) -> Row:
    """Two operations a multiply-accumulate, a backward pass being two forward ones; of convolutions and classifier."""
    model, (images, labels) = networks.build(name, setup.device), networks.batch(networks.BATCH[name], setup.device)
    uses = positions(model, images.shape[1:])
    work = 2 * 3 * len(images) * macs(prunable(model), uses, torch.numel)

    def both() -> None:
        model.zero_grad()
        with torch.autocast(torch.device(setup.device).type, dtype=torch.bfloat16, enabled=precision == "bf16"):
            logits = model(images)
        F.cross_entropy(logits.float(), labels).backward()

    return _rate(f"forward and backward, {label}, {precision}, batch {len(images)}", work, both, setup)


def _rate(name: str, work: float, do: Callable[[], object], setup: Setup, unit: str = "GFLOP/s") -> Row:
    do()
    rates = [work / seconds(do, setup.device) / 1e9 for _ in range(5)]
    return Row("roofline", name, median(rates), min(rates), max(rates), unit)
