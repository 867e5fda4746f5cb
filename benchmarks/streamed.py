"""Images on disk: decoded no larger than needed, beside whole, as torchvision's ImageFolder does."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader

from benchmarks.measure import Row, Setup, gain
from training import data, seeding
from training.config import DataConfig
from training.streaming import _ImageFiles
from training.vision import torchvision

IMAGES, BATCH = 64, 32
PHOTO = (500, 375)
SIZES = ((PHOTO, 224), (PHOTO, 64), ((1600, 1200), 224))  # of ImageNet, and of a camera


def run(setup: Setup) -> Iterator[Row]:
    """A row a size of files and of network inputs: one process that reads and augments."""
    if setup.device != "cpu":
        return
    for (width, height), side in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            files = photographs(Path(folder), width, height)
            name = f"JPEG of {width}x{height} read and augmented to {side}x{side}, beside decoding whole"
            yield gain("streamed", name, lambda: ours(files, side), lambda: plainly(files, side))  # noqa: B023
    with tempfile.TemporaryDirectory() as folder:
        yield from tree(Path(folder))


def tree(folder: Path, images: int = 128, pairs: int = 5) -> Iterator[Row]:
    """Images a second from an ImageNet-like tree to normalised batches on one core, beside torchvision's way."""
    for part in ("train", "val"):
        for name in ("one", "other"):
            (folder / part / name).mkdir(parents=True)
            photographs(folder / part / name, *PHOTO, count=images // 2 if part == "train" else 1)
    config = data.resolve(DataConfig("imagenet", path=str(folder), classes=2, workers=0))
    split, threads = data.split(data.load(config), config, 0, "cpu").train, torch.get_num_threads()
    batches = loader(folder / "train", config.side)
    torch.set_num_threads(1)
    try:
        title = f"JPEG tree of {PHOTO[0]}x{PHOTO[1]} to augmented batches of {config.side}x{config.side}, one core"
        row = gain(
            "streamed",
            f"{title}, against torchvision's ImageFolder",
            lambda: list(split.batches(BATCH, generator=seeding.generator(0, "benchmark tree"), augment=True)),
            lambda: list(batches),
            pairs=pairs,
        )
    finally:
        torch.set_num_threads(threads)
    yield row
    for way, took in (("ours", row.ours), ("torchvision's", row.reference)):
        rate = images / (took or 1)
        yield Row("streamed", f"{title}: {way}", rate, rate, rate, "images/s")


def loader(folder: Path, side: int) -> DataLoader[Any]:
    """torchvision's own pipeline, in this process."""
    transforms = torchvision().transforms
    steps = [
        transforms.RandomResizedCrop(side),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ]
    pictures = torchvision().datasets.ImageFolder(str(folder), transforms.Compose(steps))
    return DataLoader(pictures, BATCH, shuffle=True)


def photographs(folder: Path, width: int, height: int, count: int = IMAGES) -> list[Path]:
    """Images with detail, as JPEG of the usual quality."""
    draws = np.random.default_rng(0)
    paths = [folder / f"{number}.jpg" for number in range(count)]
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
