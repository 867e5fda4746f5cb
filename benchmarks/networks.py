"""What is measured on: networks, batches of noise in CIFAR-10's shape, and masks of them."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import pruning
from benchmarks.measure import Setup
from pruning.compaction.compaction import Compaction, compact
from pruning.compaction.narrowing import WIDTH
from training import data, models, seeding
from training.config import DataConfig
from training.splits import Dataset, Split, memory_splits

LABEL = {"vgg19": "VGG-19", "resnet50": "ResNet-50", "resnet20": "ResNet-20"}
BATCH = {
    "vgg16": 128,
    "vgg19": 128,
    "resnet50": 64,
    "resnet20": 128,
}  # images a batch, as the time of a round allows on two cores
CLASSES = 10


def build(name: str, device: str, channels_last: bool = True, **options: Any) -> nn.Module:
    """A network at initial weights that depend on its name alone."""
    with seeding.seeded(0, f"benchmark {name}"):
        model = models.build(name, classes=CLASSES, **options).to(device)
    return model.to(memory_format=torch.channels_last) if channels_last else model  # type: ignore[call-overload]


def batch(size: int, device: str, channels_last: bool = True) -> tuple[Tensor, Tensor]:
    """Normalised noise, and labels."""
    generator = seeding.generator(0, "benchmark batch")
    images = torch.randn(size, 3, 32, 32, generator=generator).to(device)
    labels = torch.randint(CLASSES, (size,), generator=generator).to(device)
    return images.contiguous(memory_format=torch.channels_last) if channels_last else images, labels


@functools.lru_cache(maxsize=3)
def pixels(images: int) -> tuple[np.ndarray, np.ndarray]:
    """uint8 images [N, 32, 32, 3] and their labels."""
    draws = np.random.default_rng(0)
    return draws.integers(0, 256, (images, 32, 32, 3), dtype=np.uint8), draws.integers(0, CLASSES, images)


@functools.cache
def force_masks(name: str, sparsity: float, setup: Setup, rounds: int = 20) -> pruning.Masks:
    """FORCE's masks, in bf16: it is their shape that matters here."""
    model, draw = build(name, setup.device), batches(BATCH[name], setup)
    return pruning.prune(model, "force", sparsity, draw, rounds=rounds, precision="bf16").masks


def cut(model: nn.Module, masks: pruning.Masks) -> Compaction:
    """The network without the channels that its masks disconnect.

    Raises:
        RuntimeError: there are none.
    """
    small = compact(model, masks, (3, 32, 32), multiple_of=WIDTH)
    if small is None:
        raise RuntimeError("the masks left every channel alive")
    return small


def batches(size: int, setup: Setup) -> Callable[[int], list[tuple[Tensor, Tensor]]]:
    """A fresh augmented batch a round, as a trial draws them: of CIFAR-10, or of noise in its shape."""
    split = training_images(setup)
    return lambda step: split.sample(size, seeding.generator(0, "benchmark batches", step))


def cifar10(folder: str) -> DataConfig:
    """CIFAR-10 in the first format in which it lies in a folder."""
    formats = data.formats_present("cifar10", folder)
    return data.resolve(DataConfig("cifar10", path=folder, format=formats[0] if formats else "auto"))


@functools.cache
def training_images(setup: Setup) -> Split:
    """CIFAR-10's training images, or as many of noise."""
    if setup.data is not None:
        config = cifar10(setup.data)
        return data.split(data.load(config), config, 0, setup.device).train
    return memory_split(*pixels(50_000), setup.device)


def memory_split(images: np.ndarray, labels: np.ndarray, device: str) -> Split:
    """Images [N, 32, 32, 3] as the training split of a data set like CIFAR-10."""
    known, config = data.info("cifar10"), DataConfig("cifar10", classes=10, image_size=32, crop_padding=4, flip=True)
    planes, rows = np.ascontiguousarray(images.transpose(0, 3, 1, 2)), torch.arange(len(labels))
    dataset = Dataset(planes, labels, planes[:1], labels[:1], 10, known.mean, known.std, "exact", f"noise {len(rows)}")
    return memory_splits(dataset, config, rows, rows[:0], torch.device(device)).train
