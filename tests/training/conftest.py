"""Small data sets in the real file formats."""

import hashlib
import io
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from training import data
from training.data import DataConfig, Dataset, Splits, resolve
from training.vision import torchvision

from .stopping import bright_rows

PER_FILE = 4


def encoded(pixels: np.ndarray, form: str = "PNG") -> bytes:
    """One uint8 [H, W, 3] array as an image file's bytes."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


def random_images(count: int, size: int = 32, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), np.uint8)


def loaded(config: DataConfig) -> Dataset:
    resolved = resolve(config)
    data.check(resolved)
    dataset = data.load(resolved)
    assert isinstance(dataset, Dataset)
    return dataset


def channels_first(images: np.ndarray) -> np.ndarray:
    return images.transpose(0, 3, 1, 2)


@pytest.fixture
def write_parquet() -> Callable[..., Path]:
    """Write images and labels to a Parquet file, as struct<bytes, path> or plain binary."""

    def write(
        path: Path, images: list[bytes | None], labels: list[int | None], *, image: str = "img", struct: bool = True
    ) -> Path:
        column: Any = [{"bytes": one, "path": f"{row}.png"} for row, one in enumerate(images)] if struct else images
        table = pa.table({image: column, "label": pa.array(labels, pa.int64())})
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)
        return path

    return write


@pytest.fixture
def write_images() -> Callable[[Path, np.ndarray], None]:
    """Write uint8 [N, H, W, 3] as 0.png, 1.png … into a folder."""

    def write(folder: Path, images: np.ndarray) -> None:
        folder.mkdir(parents=True)
        for number, pixels in enumerate(images):
            Image.fromarray(pixels).save(folder / f"{number}.png")

    return write


@pytest.fixture
def cifar_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tuple[Path, np.ndarray]]:
    """Make a tiny CIFAR archive that torchvision accepts as the real one; the archive and its training images.

    The pickles are as Python 2 and an early numpy wrote them; only the expected checksums are ours.
    """

    def make(name: str) -> tuple[Path, np.ndarray]:
        known = {"cifar10": torchvision().datasets.CIFAR10, "cifar100": torchvision().datasets.CIFAR100}[name]
        label_key = "labels" if name == "cifar10" else "fine_labels"
        source = tmp_path / "published"
        folder = source / known.base_folder
        folder.mkdir(parents=True)
        images = random_images(PER_FILE * (len(known.train_list) + 1))

        def write(file: str, content: dict[str, Any]) -> str:
            # protocol 2 spells numpy's dtype(align=False, copy=True) as booleans, the published files as 0 and 1
            data = pickle.dumps(content, protocol=2).replace(b"\x89\x88\x87", b"K\x00K\x01\x87", 1)
            (folder / file).write_bytes(data)
            return hashlib.md5(data).hexdigest()

        def batches(files: list[list[str]], start: int) -> list[list[str]]:
            written = []
            for number, (file, _) in enumerate(files, start=start):
                rows = images[number * PER_FILE : (number + 1) * PER_FILE]
                labels = [number % 10] * PER_FILE
                content = {"data": rows.transpose(0, 3, 1, 2).reshape(PER_FILE, -1), label_key: labels}
                written.append([file, write(file, content)])
            return written

        monkeypatch.setattr(known, "train_list", batches(known.train_list, 0))
        monkeypatch.setattr(known, "test_list", batches(known.test_list, len(known.train_list)))
        meta = {known.meta["key"]: [f"class {number}" for number in range(10)]}
        monkeypatch.setattr(known, "meta", {**known.meta, "md5": write(known.meta["filename"], meta)})
        archive = source / known.filename
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(folder, arcname=known.base_folder)
        monkeypatch.setattr(known, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
        return archive, images[:-PER_FILE]

    return make


@pytest.fixture
def make_splits() -> Callable[..., Splits]:
    """Splits of random 8x8 grey images, learnable: a class is a pair of bright rows."""
    return bright_rows


@pytest.fixture
def photos(tmp_path: Path) -> DataConfig:
    """A streamed set: photos of 40x30 whose left half is brighter; the class is in the colour."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 8), ("val", 3)):
        for label, name in enumerate(("blue", "red")):
            folder = tmp_path / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 60, (30, 40, 3), np.uint8)
                pixels[:, :20] += 60
                pixels[:, :, 2 - 2 * label] += 100
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return resolve(DataConfig("imagenet", path=str(tmp_path), classes=2, image_size=16, validation=4, workers=0))
