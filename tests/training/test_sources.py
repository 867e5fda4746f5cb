"""CIFAR archives and image folders, read from real files; test_parquet.py has Parquet."""

import functools
import http.server
import re
import threading

import numpy as np
import pytest
from PIL import Image

from training import data
from training.data import DataConfig, DataError, resolve
from training.vision import torchvision

from .conftest import PER_FILE, channels_first, encoded, loaded, random_images

# --- CIFAR as it is published


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_an_archive_is_unpacked_and_read(cifar_archive, name):
    archive, images = cifar_archive(name)
    config = resolve(DataConfig(name, path=str(archive.parent)))
    assert config.format == "torchvision"
    dataset = loaded(config)
    assert np.array_equal(dataset.train_images, channels_first(images))
    assert dataset.train_labels.tolist() == [row // PER_FILE for row in range(len(images))]
    assert len(dataset.test_labels) == PER_FILE
    assert (dataset.encoding, dataset.classes) == ("exact", data.info(name).classes)


def test_an_archive_alone_is_unpacked(cifar_archive, tmp_path):
    archive, images = cifar_archive("cifar10")
    (tmp_path / "alone").mkdir()
    archive.rename(tmp_path / "alone" / archive.name)
    dataset = loaded(DataConfig("cifar10", path=str(tmp_path / "alone")))
    assert len(dataset.train_images) == len(images)


@pytest.fixture
def serve(tmp_path, monkeypatch):
    """Serve a folder over HTTP on this machine; its address."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "published"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_download_fetches_what_is_not_there(cifar_archive, serve, tmp_path, monkeypatch):
    archive, images = cifar_archive("cifar10")
    monkeypatch.setattr(torchvision().datasets.CIFAR10, "url", f"{serve}/{archive.name}")
    dataset = loaded(DataConfig("cifar10", path=str(tmp_path / "new"), download=True))
    assert np.array_equal(dataset.train_images, channels_first(images))
    assert (tmp_path / "new" / "cifar-10-batches-py").is_dir()


def test_a_download_that_fails_is_a_data_error_with_the_address(cifar_archive, serve, tmp_path, monkeypatch):
    cifar_archive("cifar10")
    monkeypatch.setattr(torchvision().datasets.CIFAR10, "url", f"{serve}/moved.tar.gz")
    config = resolve(DataConfig("cifar10", path=str(tmp_path / "new"), download=True))
    with pytest.raises(DataError, match=r"^path: cifar10 in .*new.* cannot be used .*fetch http://127"):
        data.load(config)


def test_damaged_files_fail_their_checksum(cifar_archive):
    archive, _ = cifar_archive("cifar10")
    batch = archive.parent / "cifar-10-batches-py" / "data_batch_3"
    batch.write_bytes(batch.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"^path: cifar10 in .* cannot be used .*corrupted"):
        loaded(DataConfig("cifar10", path=str(archive.parent)))


def test_a_damaged_archive_is_not_fetched_again_unless_asked(cifar_archive, tmp_path, monkeypatch):
    archive, _ = cifar_archive("cifar10")
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / archive.name).write_bytes(archive.read_bytes()[:-1])
    monkeypatch.setattr(torchvision().datasets.CIFAR10, "download", lambda self: pytest.fail("fetched"))
    with pytest.raises(DataError, match=r"^path: cifar10 in .* cannot be used \(checksum of cifar-10-python.tar.gz\)"):
        loaded(DataConfig("cifar10", path=str(tmp_path / "alone")))


def test_a_missing_set_says_how_to_get_it(tmp_path):
    config = resolve(DataConfig("cifar10", path=str(tmp_path)))
    with pytest.raises(DataError) as caught:
        data.check(config)
    for part in ("path: no cifar10 in ", "data.download=true", "170 MB", "cifar-10-batches-py", "data.format=parquet"):
        assert part in str(caught.value)


# --- folders


def test_an_image_folder_is_read_class_by_class(tmp_path, write_images):
    images = random_images(6, size=10)
    for part, start in (("train", 0), ("val", 4)):
        for label, name in enumerate(("cat", "dog")):
            count = 2 if part == "train" else 1
            write_images(tmp_path / part / name, images[start + label * count :][:count])
    dataset = loaded(DataConfig("image_folder", path=str(tmp_path), classes=2, image_size=10))
    assert np.array_equal(dataset.train_images, channels_first(images[:4]))
    assert dataset.train_labels.tolist() == [0, 0, 1, 1]
    assert np.array_equal(dataset.test_images, channels_first(images[4:]))
    assert dataset.test_labels.tolist() == [0, 1]


def test_a_wide_image_is_scaled_by_its_shorter_side_and_cut_at_the_centre(tmp_path, write_images):
    wide = np.zeros((8, 24, 3), np.uint8)
    wide[:, 8:16] = 200  # the middle third
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            write_images(tmp_path / part / name, wide[None])
    dataset = loaded(DataConfig("image_folder", path=str(tmp_path), classes=2, image_size=8))
    assert (dataset.train_images == 200).all()


def test_grey_and_palette_images_become_colour(tmp_path):
    for part in ("train", "test"):
        for name, mode in (("grey", "L"), ("palette", "P")):
            (tmp_path / part / name).mkdir(parents=True)
            Image.new("L", (4, 4), 9).convert(mode).save(tmp_path / part / name / "0.png")
    dataset = loaded(DataConfig("image_folder", path=str(tmp_path), classes=2, image_size=4))
    assert dataset.train_images.shape == (2, 3, 4, 4)
    assert (dataset.train_images == 9).all()


def test_a_folder_with_other_classes_than_configured_or_trained_on_is_refused(tmp_path, write_images):
    for folder in ("train/cat", "train/dog", "test/cat", "test/cow"):
        write_images(tmp_path / folder, random_images(1))
    with pytest.raises(DataError, match=r"^classes: .*train has 2 class folders, not 3; set data\.classes=2"):
        loaded(DataConfig("image_folder", path=str(tmp_path), classes=3, image_size=8))
    with pytest.raises(DataError, match=r"differ in the classes cow, dog"):
        loaded(DataConfig("image_folder", path=str(tmp_path), classes=2, image_size=8))


def test_a_class_without_images_and_a_damaged_image_are_named(tmp_path, write_images):
    for folder in ("train/cat", "train/dog", "test/cat", "test/dog"):
        write_images(tmp_path / folder, random_images(1))
    config = DataConfig("image_folder", path=str(tmp_path), classes=2, image_size=8)
    (tmp_path / "test" / "dog" / "0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"dog/0\.png: this image cannot be decoded"):
        loaded(config)
    (tmp_path / "test" / "dog" / "0.png").unlink()
    with pytest.raises(DataError, match=r"^path: .*test/dog has no images"):
        loaded(config)


def test_a_missing_folder_says_what_should_be_there(tmp_path):
    config = resolve(DataConfig("tiny_imagenet", path=str(tmp_path)))
    with pytest.raises(DataError, match=r"^path: no tiny_imagenet in .* train and val .* fetch it from http"):
        data.check(config)


def test_tiny_imagenet_is_read_as_it_comes_out_of_its_archive(tmp_path, write_images):
    root = tmp_path / "tiny-imagenet-200"
    names = ["n01", "n02", "n03"]
    images = random_images(6, size=64)
    for label, name in enumerate(names):
        write_images(root / "train" / name / "images", images[label : label + 1])
        (root / "train" / name / f"{name}_boxes.txt").write_text("n01_0.png\t0\t0\t62\t62\n")
    write_images(root / "val" / "images", images[3:])
    (root / "test" / "images").mkdir(parents=True)  # without labels: must not be taken for the test set
    lines = [f"{number}.png\t{names[2 - number]}\t0\t0\t62\t62" for number in range(3)]
    (root / "val" / "val_annotations.txt").write_text("\n".join(lines) + "\n")
    dataset = loaded(DataConfig("tiny_imagenet", path=str(tmp_path), classes=3))
    assert dataset.train_labels.tolist() == [0, 1, 2]
    assert dataset.test_labels.tolist() == [2, 1, 0]
    assert np.array_equal(dataset.test_images, channels_first(images[3:]))
    assert dataset.encoding == "exact"
    (root / "val" / "val_annotations.txt").write_text("0.png\tn99\t0\t0\t62\t62\n")
    with pytest.raises(DataError, match="class n99, which train does not have"):
        loaded(DataConfig("tiny_imagenet", path=str(root), classes=3))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"1.png", "val_annotations.txt:2: '1.png' is not a file name, a tab and a class name"),
        (b"1.png\t", "val_annotations.txt:2: '1.png\\t' is not"),
        (b"\tn01", "val_annotations.txt:2: '\\tn01' is not"),
        (b"", "val_annotations.txt:2: '' is not"),
        (b"\xff.png\tn01", "val_annotations.txt cannot be read: 'utf-8' codec can't decode"),
    ],
)
def test_a_malformed_annotation_is_a_data_error_that_names_its_line(line, message, tmp_path, write_images):
    for folder in ("train/n01", "train/n02", "val/images"):
        write_images(tmp_path / folder, random_images(2, size=64))
    (tmp_path / "val" / "val_annotations.txt").write_bytes(b"0.png\tn01\t0\t0\t62\t62\n" + line + b"\n")
    with pytest.raises(DataError, match=f"^path: .*{re.escape(message)}"):
        loaded(DataConfig("tiny_imagenet", path=str(tmp_path), classes=2))


def test_tiny_imagenet_with_its_validation_images_sorted_into_folders_is_read_too(tmp_path, write_images):
    for folder in ("train/n01", "train/n02", "val/n01", "val/n02"):
        write_images(tmp_path / folder, random_images(1, size=64))
    assert loaded(DataConfig("tiny_imagenet", path=str(tmp_path), classes=2)).test_labels.tolist() == [0, 1]


@pytest.mark.parametrize(("name", "encoding"), [("tiny_imagenet", "exact"), ("image_folder", "JPEG")])
def test_jpeg_is_what_tiny_imagenet_was_published_as_and_a_copy_elsewhere(tmp_path, name, encoding):
    for folder in ("train/n01", "train/n02", "val/n01", "val/n02"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "0.JPEG").write_bytes(encoded(random_images(1, size=64)[0], "JPEG"))
    assert loaded(DataConfig(name, path=str(tmp_path), classes=2, image_size=64)).encoding == encoding


def test_torchvision_can_be_imported_and_used():
    assert torchvision().transforms.functional.hflip(Image.new("L", (2, 2))).size == (2, 2)
