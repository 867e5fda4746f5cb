"""Images on disk: decoded no larger than needed, beside whole, as torchvision's ImageFolder does."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.measure import Row, Setup, gain
from training.streaming import _ImageFiles
from training.vision import torchvision

IMAGES = 64
SIZES = (((500, 375), 224), ((500, 375), 64), ((1600, 1200), 224))  # of ImageNet, and of a camera


def run(setup: Setup) -> Iterator[Row]:
    """A row a size of files and of network inputs: one process that reads and augments."""
    if setup.device != "cpu":
        return
    for (width, height), side in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            files = photographs(Path(folder), width, height)
            name = f"JPEG of {width}x{height} read and augmented to {side}x{side}, beside decoding whole"
            yield gain("streamed", name, lambda: ours(files, side), lambda: plainly(files, side))  # noqa: B023


def photographs(folder: Path, width: int, height: int) -> list[Path]:
    """Images with detail, as JPEG of the usual quality."""
    draws = np.random.default_rng(0)
    paths = [folder / f"{number}.jpg" for number in range(IMAGES)]
    for path in paths:
        coarse = draws.integers(256, size=(height // 8, width // 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).save(path, quality=90)
    return paths


def ours(files: list[Path], side: int) -> None:
    """As a worker of a streamed split reads them."""
    images = _ImageFiles(np.array([os.fsencode(file) for file in files]), torch.zeros(len(files)), side, flip=True)
    for number in range(len(files)):
        images[(number, number)]


def plainly(files: list[Path], side: int) -> None:
    """As a script does."""
    transforms = torchvision().transforms
    augment = transforms.Compose([transforms.RandomResizedCrop(side), transforms.RandomHorizontalFlip()])
    for file in files:
        with Image.open(file) as image:
            transforms.functional.pil_to_tensor(augment(image.convert("RGB")))
