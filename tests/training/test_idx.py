"""MNIST and Fashion-MNIST, from small files in the real IDX format."""

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

from training import data, models
from training.config import TrainConfig
from training.data import DataConfig, DataError, resolve
from training.loop import train
from training.vision import torchvision

from .conftest import encoded, loaded

FOLDERS = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST"}
NAMES = pytest.mark.parametrize("name", FOLDERS)


def idx(values: np.ndarray) -> bytes:
    """An array of bytes as its authors store it: magic number, sizes, values."""
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()


def write(path: Path, name: str, seed: int = 0) -> dict[str, np.ndarray]:
    """Twenty training and ten test images in the folder that torchvision expects; what is in them, by file."""
    folder, rng = path / FOLDERS[name] / "raw", np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {}
    for part, count in (("train", 20), ("t10k", 10)):
        arrays[f"{part}-images-idx3-ubyte"] = rng.integers(0, 256, (count, 28, 28), np.uint8)
        arrays[f"{part}-labels-idx1-ubyte"] = np.arange(count, dtype=np.uint8) % 10
    for file, values in arrays.items():
        (folder / file).write_bytes(idx(values))
    return arrays


@NAMES
def test_the_files_of_torchvision_are_read_to_the_pixel(tmp_path, name):
    arrays = write(tmp_path, name)
    dataset = loaded(DataConfig(name, path=str(tmp_path)))
    assert np.array_equal(dataset.train_images[:, 0], arrays["train-images-idx3-ubyte"])
    assert np.array_equal(dataset.test_images[:, 0], arrays["t10k-images-idx3-ubyte"])
    assert dataset.train_labels.tolist() == [*range(10), *range(10)]
    assert dataset.train_images.shape == (20, 1, 28, 28)
    theirs = getattr(torchvision().datasets, FOLDERS[name])(str(tmp_path))
    assert np.array_equal(dataset.train_images[:, 0], theirs.data.numpy())
    assert (dataset.classes, dataset.encoding) == (10, "exact")


@NAMES
def test_archives_are_unpacked_without_a_network_and_damaged_ones_are_named(tmp_path, name, monkeypatch):
    write(tmp_path, name)
    known, resources = getattr(torchvision().datasets, FOLDERS[name]), []
    for file in sorted((tmp_path / FOLDERS[name] / "raw").iterdir()):
        packed = gzip.compress(file.read_bytes())
        Path(f"{file}.gz").write_bytes(packed)
        resources.append((f"{file.name}.gz", hashlib.md5(packed).hexdigest()))
        file.unlink()
    monkeypatch.setattr(known, "mirrors", ["http://127.0.0.1:1/"])
    monkeypatch.setattr(known, "resources", [*resources[1:], (resources[0][0], "0" * 32)])
    with pytest.raises(DataError, match=rf"^path: {name} in .* \(checksum of t10k-images-idx3-ubyte.gz\)"):
        loaded(DataConfig(name, path=str(tmp_path)))
    monkeypatch.setattr(known, "resources", resources)
    assert len(loaded(DataConfig(name, path=str(tmp_path))).train_labels) == 20


@NAMES
def test_missing_files_raise_an_error_that_says_how_to_get_them(tmp_path, name):
    config = resolve(DataConfig(name, path=str(tmp_path)))
    with pytest.raises(DataError, match=rf"^path: no {name} in .*data\.download=true.*train-images-idx3-ubyte"):
        data.check(config)


@pytest.mark.parametrize("damage", ["cut off", "not IDX", "labels of another count"])
def test_files_that_are_not_what_their_names_say_are_named(tmp_path, damage):
    write(tmp_path, "mnist")
    images, labels = (tmp_path / "MNIST/raw" / f"train-{kind}-ubyte" for kind in ("images-idx3", "labels-idx1"))
    if damage == "cut off":
        images.write_bytes(images.read_bytes()[:-1])
    elif damage == "not IDX":
        images.write_bytes(b"<html>not found</html>")
    else:
        labels.write_bytes(idx(np.zeros(3, np.uint8)))
    with pytest.raises(
        DataError, match=r"^path: .*train-images-idx3-ubyte and train-labels-idx1-ubyte are not IDX files"
    ):
        loaded(DataConfig("mnist", path=str(tmp_path)))


def test_the_fingerprint_tells_other_files_of_the_same_name(tmp_path):
    config = resolve(DataConfig("mnist", path=str(tmp_path)))
    write(tmp_path, "mnist")
    first = data.fingerprint(config)
    assert data.load(config).content == first
    write(tmp_path, "mnist", seed=1)
    assert data.fingerprint(config) != first


def test_mnist_in_parquet_is_grey(tmp_path, write_parquet):
    image = np.full((28, 28), 77, np.uint8)
    for part in ("train", "test"):
        write_parquet(tmp_path / f"{part}.parquet", [encoded(image)], [3])
    dataset = loaded(DataConfig("mnist", path=str(tmp_path), format="parquet"))
    assert dataset.train_images.shape == (1, 1, 28, 28)
    assert (dataset.train_images == 77).all()


@NAMES
def test_a_network_of_the_table_trains_on_it(tmp_path, name):
    write(tmp_path, name)
    config = resolve(DataConfig(name, path=str(tmp_path)))
    known = data.info(name)
    model = models.build("resnet20", classes=10, channels=known.channels, size=28)
    [epoch] = train(model, data.split(data.load(config), config, 0, "cpu"), TrainConfig(epochs=1), 0, device="cpu")
    assert np.isfinite(epoch.train_loss)
