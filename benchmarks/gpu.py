"""One GPU: our training loop beside the bare step, eager and as a graph, and beside the authors' loop; compaction.

CIFAR shapes, batch 128, a mask of 99 %, images of noise. The bare step is :mod:`benchmarks.bare`.
"""

import gc
import itertools
import time
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median

import torch
from torch import nn

import pruning
from benchmarks import card_pruning, networks, plain
from benchmarks.bare import BareStep
from benchmarks.measure import Row, Setup, gain, in_turns, seconds
from pruning.macs import macs, positions
from training import loop
from training.config import TrainConfig
from training.splits import Splits

LABEL = {
    "vgg16": "VGG-16",
    "vgg19": "VGG-19",
    "resnet18": "ResNet-18",
    "resnet50": "ResNet-50",
    "resnet20": "ResNet-20",
}
RATES = {"vgg16": 55_000, "resnet18": 36_000, "resnet50": 11_000, "resnet20": 45_000}  # images a second, to be reached
BESIDE_AUTHORS = {"vgg16": 5.0, "resnet50": 2.9}
COMPACTED = ("vgg19", "resnet50")
IMAGES, BATCH, WORKERS = 50_000, 128, (1, 4)
EPOCHS = 10**6  # of the config: as many as are asked for are run
RATE = 0.01  # that does not diverge on noise
SIDE = 8192  # of the matrices whose product is the card's peak
AUTHORS_SECONDS = 1.5


def run(setup: Setup) -> Iterator[Row]:
    """All rows; none where there is no GPU."""
    if setup.device == "cpu":
        return
    peak = matrix_rate(setup.device)
    yield _single("peak, bf16: a product of two 8192x8192 matrices", peak / 1e12, "TFLOP/s")
    for name in RATES:
        yield from training_rows(name, setup.device, peak)
    for name in COMPACTED:
        yield compacted(name, setup)
    yield from card_pruning.run(setup)


def training_rows(name: str, device: str, peak: float, images: int = IMAGES, pairs: int = 2) -> Iterator[Row]:
    """One network: whole epochs of ours beside the bare graph, then the others' rates."""
    label, model = LABEL[name], networks.build(name, device)
    work = 6 * operations(model)  # a backward pass is two forward ones
    forget(device)
    ours = epochs(model, random_masks(model), device, images=images)
    ours()  # captures
    memory = torch.cuda.max_memory_reserved() / 1e9 if device != "cpu" else 0.0
    steps = images // BATCH
    graph, eager = (bare(networks.build(name, device), device, images) for _ in range(2))
    graph.capture()
    times = in_turns(ours, lambda: graph.run(steps), pairs=pairs, device=device)
    rate, bare_rate = _rate([a for a, _ in times], images), _rate([b for _, b in times], steps * BATCH)
    ratios = [(images / a) / (steps * BATCH / b) for a, b in times]
    yield _images(f"{label}, bf16: our loop, whole epoch", *rate, at_least=RATES[name])
    yield _images(f"{label}, bf16: bare step as one graph", *bare_rate)
    yield Row(
        "gpu", f"{label}, bf16: our loop against that graph", median(ratios), min(ratios), max(ratios), at_least=0.92
    )
    yield _images(f"{label}, bf16: bare step, eager", *eager_rate(eager, min(60, steps), device))
    yield _single(f"{label}, bf16: our loop, share of the peak", 100 * rate[0] * work / peak, "%")
    yield _single(f"{label}, bf16: our loop, memory", memory, "GB")
    yield from beside_authors(name, device, images, rate[0])


def beside_authors(name: str, device: str, images: int, bf16_rate: float) -> Iterator[Row]:
    """The authors' loop, which is in fp32, with few and many workers, and ours in both precisions against it."""
    label, rates = LABEL[name], {}
    for workers in WORKERS:
        rates[workers] = authors_rate(name, workers, device, images)
        yield _images(f"{label}, fp32: authors' loop, {workers} worker{'s' * (workers > 1)}", *rates[workers])
    if name in BESIDE_AUTHORS:
        theirs = rates[max(WORKERS)][0]
        against = f"against the authors' in fp32 with {max(WORKERS)} workers"
        gained = bf16_rate / theirs
        yield _gain(f"{label}: our loop in bf16 {against}", gained, at_least=BESIDE_AUTHORS[name])
        model = networks.build(name, device)
        ours = epochs(model, random_masks(model), device, "fp32", images)
        ours()
        rate = _rate([seconds(ours, device) for _ in range(2)], images)
        yield _images(f"{label}, fp32: our loop, whole epoch", *rate)
        yield _gain(f"{label}: our loop in fp32 {against}", rate[0] / theirs)


def compacted(name: str, setup: Setup, images: int = IMAGES // 2) -> Row:
    """An epoch of what FORCE leaves, cut small, against one of the dense network."""
    masks, model = networks.force_masks(name, 0.995, setup), networks.build(name, setup.device)
    small = networks.cut(model, masks)
    ours = epochs(small.model, small.masks, setup.device, images=images)
    dense = epochs(model, random_masks(model), setup.device, images=images)
    left = small.macs / small.macs_dense
    title = f"{LABEL[name]}, bf16: epoch compacted after FORCE at 99.5 %, {left:.0%} of MACs, against dense"
    return gain("gpu", title, ours, dense, at_least=1.3, pairs=2, device=setup.device)


def epochs(
    model: nn.Module,
    masks: pruning.Masks,
    device: str,
    precision: str = "bf16",
    images: int = IMAGES,
    batch: int = BATCH,
) -> Callable[[], loop.EpochResult]:
    """A function that trains one more epoch by our loop."""
    split = networks.memory_split(*networks.pixels(images), device)
    config = TrainConfig(epochs=EPOCHS, batch_size=batch, learning_rate=RATE, precision=precision)  # type: ignore[arg-type]
    splits, masking = Splits(split, None, split), pruning.FixedMask(masks)
    return partial(next, loop.train(model, splits, config, 0, masking=masking, device=device))


def bare(
    model: nn.Module, device: str, images: int = IMAGES, masks: pruning.Masks | None = None, batch: int = BATCH
) -> BareStep:
    """The bare step of a network under a mask, on the same images."""
    pixels, labels = networks.pixels(images)
    planes = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous().to(device)
    return BareStep(model, masks or random_masks(model), planes, torch.from_numpy(labels).to(device), batch)


def random_masks(model: nn.Module) -> pruning.Masks:
    """Of which one in a hundred weights is kept."""
    return pruning.prune(model, "random", 0.99).masks


def eager_rate(step: BareStep, steps: int, device: str) -> tuple[float, float, float]:
    """Images a second of steps that are called one by one."""
    step.run(10)
    return _rate([seconds(lambda: step.run(steps), device) for _ in range(3)], steps * BATCH)


def authors_rate(name: str, workers: int, device: str, images: int) -> tuple[float, float, float]:
    """Images a second of the authors' loop under a mask, its workers long started."""
    model = networks.build(name, device, channels_last=False)
    plain.block(model, [mask.float() for mask in random_masks(model).values()])
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9, weight_decay=5e-4)
    loader = plain.loader(*networks.pixels(images), BATCH, workers, persistent=True)
    batches = itertools.chain.from_iterable(itertools.repeat(loader))

    def some() -> None:
        plain.epoch(model, optimizer, plain.take(batches, 10), device)

    some()
    some()
    times: list[float] = []
    start = time.perf_counter()
    while time.perf_counter() < start + AUTHORS_SECONDS or not times:
        times.append(seconds(some, device))
    total = sum(times) / len(times)  # they come in bursts, as the loader's workers deliver
    return 10 * BATCH / total, 10 * BATCH / max(times), 10 * BATCH / min(times)


def matrix_rate(device: str, side: int = SIDE, products: int = 10) -> float:
    """Operations a second of bf16 products of random matrices."""
    one, other = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))

    def multiply() -> None:
        for _ in range(products):
            one @ other

    multiply()
    return 2 * side**3 * products / median(seconds(multiply, device) for _ in range(3))


def operations(model: nn.Module) -> float:
    """Multiply-accumulates of convolutions and classifier, one image."""
    return macs(pruning.prunable(model), positions(model, (3, 32, 32)), torch.numel)


def forget(device: str) -> None:
    """Give back what earlier rows have left, so that the memory of the next one can be told."""
    gc.collect()
    if device != "cpu":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def _rate(times: list[float], images: int) -> tuple[float, float, float]:
    return images / median(times), images / max(times), images / min(times)


def _images(name: str, value: float, low: float, high: float, at_least: float | None = None) -> Row:
    return Row("gpu", name, value, low, high, "images/s", at_least=at_least)


def _gain(name: str, value: float, at_least: float | None = None) -> Row:
    return Row("gpu", name, value, value, value, at_least=at_least)


def _single(name: str, value: float, unit: str) -> Row:
    return Row("gpu", name, value, value, value, unit)
