"""One GPU: training beside the authors' loop, and several trials on the card beside one at a time."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

import pruning
from benchmarks import networks, plain, sweeps
from benchmarks.measure import Row, Setup, gain
from training import loop
from training.config import TrainConfig
from training.splits import Splits

LABEL = {"resnet50": "ResNet-50", "vgg16": "VGG-16"}
IMAGES, BATCH, TRIALS = 12_800, 128, 8
AT_ONCE = (2, 4, 8)  # trials on one card


def run(setup: Setup) -> Iterator[Row]:
    """All rows; none where there is no GPU."""
    if setup.device == "cpu":
        return
    for name in LABEL:
        yield epoch_beside_authors(name, setup.device)
    for name in LABEL:
        yield from packing(name, setup)


def epoch_beside_authors(name: str, device: str, images: int = IMAGES) -> Row:
    """An epoch of the whole network under a mask in bf16, beside the authors' loop in float32, with a second loader."""
    pixels, labels = networks.pixels(images)
    split = networks.memory_split(pixels, labels, device)
    config, splits = TrainConfig(epochs=1, batch_size=BATCH, precision="bf16"), Splits(split, None, split)
    model, theirs = networks.build(name, device), networks.build(name, device, channels_last=False)
    masks = pruning.prune(model, "random", 0.99).masks
    plain.block(theirs, [mask.float() for mask in masks.values()])
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    batches = plain.loader(pixels, labels, BATCH, workers=2)
    return gain(
        "gpu",
        f"images a second, {LABEL.get(name, name)}, bf16, batch {BATCH}, against the authors' loop in fp32",
        lambda: list(loop.train(model, splits, config, 0, masking=pruning.FixedMask(masks), device=device)),
        lambda: plain.epoch(theirs, optimizer, batches, device),
        at_least=4,
        device=device,
        pairs=3,
    )


def packing(name: str, setup: Setup) -> Iterator[Row]:
    """Eight trials on one card, several at once by ``--jobs``, beside one at a time; the best has the target."""
    config, found = sweep_of(name, TRIALS, setup), []
    alone, _ = sweeps.sweep(config, "--local")
    for jobs in AT_ONCE:
        together, _ = sweeps.sweep(config, "--local", "--jobs", str(jobs))
        title, gained = f"trials an hour, {LABEL[name]}, {jobs} at once, against one at a time", alone / together
        found.append(Row("gpu", title, gained, gained, gained, ours=together, reference=alone))
    best = max(found, key=lambda row: row.value)
    yield from (replace(row, at_least=1.5) if row is best else row for row in found)


def sweep_of(name: str, seeds: int, setup: Setup) -> dict[str, Any]:
    """Short trials of one network, whole on the GPU: on CIFAR-10 where it is at hand, else on digits."""
    return {
        "name": "packing",
        "data": {"name": "cifar10", "path": setup.data} if setup.data else {"name": "digits"},
        "grid": {"architecture": name, "method": "snip", "sparsity": 0.99, "seed": list(range(seeds))},
        "training": {"epochs": 2 if setup.data else 30, "batch_size": BATCH, "precision": "bf16"},
        "compute": {"gpus_per_trial": 0 if setup.device == "cpu" else 1},
    }
