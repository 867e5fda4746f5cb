"""Training: what masks and data cost, and what high sparsity gains."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

import pruning
from benchmarks import networks
from benchmarks.measure import Row, Setup, cost, gain
from pruning.compaction.compaction import compact
from pruning.compaction.narrowing import WIDTH
from training import loop
from training.config import TrainConfig
from training.optimizer import make_optimizer
from training.splits import Split, Splits
from training.step import backward

LABEL = {"vgg19": "VGG-19", "resnet50": "ResNet-50"}
FASTER = {"vgg19": 2.2, "resnet50": 2.5}
IMAGES = 1280


def run(setup: Setup) -> Iterator[Row]:
    """All rows."""
    for precision in ("fp32", "bf16"):
        yield masked_step("vgg19", precision, setup)
    for name in LABEL:
        for precision in ("fp32", "bf16"):
            for sparsity in (0.99, 0.995):
                yield compacted_step(name, sparsity, precision, setup)
    yield from epochs(setup.device)


def masked_step(name: str, precision: str, setup: Setup) -> Row:
    """One step with a mask beside the same step of the same dense network without."""
    masks = networks.force_masks(name, 0.99, setup)
    title = f"training step, {LABEL[name]}, {precision}: masked beside dense"
    ours, dense = (stepper(networks.build(name, setup.device), m, name, precision, setup) for m in (masks, None))
    return cost("training", title, ours, dense, at_most=1.03, pairs=9, device=setup.device)


def compacted_step(name: str, sparsity: float, precision: str, setup: Setup) -> Row:
    """One step of what a FORCE mask leaves, cut small, beside one of the dense network."""
    masks, model = networks.force_masks(name, sparsity, setup), networks.build(name, setup.device)
    small = compact(model, masks, (3, 32, 32), multiple_of=WIDTH)
    if small is None:
        raise RuntimeError("FORCE left every channel alive")
    ours = stepper(small.model, small.masks, name, precision, setup)
    dense = stepper(model, None, name, precision, setup)
    left = small.macs / small.macs_dense
    title = f"training step, {LABEL[name]}, {precision}: FORCE at {sparsity:.1%}, {left:.0%} of MACs, against dense"
    target = FASTER[name] if sparsity == 0.995 else None
    return gain("training", title, ours, dense, at_least=target, device=setup.device)


def stepper(
    model: nn.Module, masks: pruning.Masks | None, name: str, precision: str, setup: Setup
) -> Callable[[], object]:
    """A function that makes one step of the training loop's."""
    config = TrainConfig(precision=precision, batch_size=networks.BATCH[name])  # type: ignore[arg-type]
    images, labels = networks.batch(config.batch_size, setup.device)
    optimizer, scaler = make_optimizer(model, config), torch.amp.GradScaler(setup.device, enabled=False)
    masking = None if masks is None else pruning.FixedMask(masks)
    if masking:
        masking.before_training(model, optimizer)
    model.train()

    def step() -> None:
        optimizer.zero_grad()
        backward(model, images, labels, config, scaler)
        scaler.step(optimizer)
        if masking:
            masking.after_step()

    return step


class Prepared(Split):
    """Batches that lie ready: compute alone."""

    def __init__(self, split: Split, batch_size: int):
        super().__init__(split.labels)
        self.ready = list(split.batches(batch_size))

    def _read(
        self, rows: Tensor, batch_size: int, generator: torch.Generator | None, first: int = 0
    ) -> Iterator[tuple[Tensor, Tensor]]:
        yield from self.ready[first:]


def epochs(device: str) -> Iterator[Row]:
    """An epoch of ResNet-20 with data and augmentation, beside compute alone."""
    pixels, labels = networks.pixels(IMAGES)
    config, split = TrainConfig(epochs=1), networks.memory_split(pixels, labels, device)
    model = networks.build("resnet20", device)
    masks = pruning.prune(model, "random", 0.9).masks

    def ours(images: Split) -> Callable[[], object]:
        splits = Splits(images, None, images)
        # one network for both: so nothing but the data differs, not even where its weights lie in memory
        return lambda: list(loop.train(model, splits, config, 0, masking=pruning.FixedMask(masks), device=device))

    yield cost(
        "training",
        "epoch, ResNet-20: data and augmentation beside compute alone",
        ours(split),
        ours(Prepared(split, config.batch_size)),
        at_most=1.05,
        pairs=15,
        device=device,
    )
