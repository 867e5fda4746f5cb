"""Image sets in Parquet files."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from training import data, seeding
from training.data import DataConfig, DataError, resolve

from .conftest import channels_first, encoded, loaded, random_images

CIFAR10_PARQUET = Path(
    os.environ.get("SWEEP_CIFAR10", Path(__file__).parents[2] / ".." / "shared" / "data" / "cifar10")
)


def parquet_set(folder: Path, write_parquet, images: np.ndarray, *, form: str = "PNG", **settings) -> None:
    stored = [encoded(image, form) for image in images]
    labels = [row % 10 for row in range(len(images))]
    write_parquet(folder / "train.parquet", stored, labels, **settings)
    write_parquet(folder / "test.parquet", stored[:2], labels[:2], **settings)


@pytest.mark.parametrize("struct", [True, False])
def test_lossless_images_in_parquet_are_read_exactly(tmp_path, write_parquet, struct):
    images = random_images(12)
    parquet_set(tmp_path, write_parquet, images, struct=struct, image="picture")
    config = resolve(DataConfig("cifar10", format="parquet", path=str(tmp_path)))
    assert (config.format, config.image_column, config.label_column) == ("parquet", "picture", "label")
    dataset = loaded(config)
    assert np.array_equal(dataset.train_images, channels_first(images))
    assert dataset.train_labels.tolist() == [row % 10 for row in range(12)]
    assert len(dataset.test_labels) == 2
    assert dataset.encoding == "exact"


def test_jpeg_copies_are_called_that_and_are_another_data_set_than_the_original(tmp_path, write_parquet):
    parquet_set(tmp_path, write_parquet, random_images(12), form="JPEG")
    copy = resolve(DataConfig("cifar10", format="parquet", path=str(tmp_path)))
    original = resolve(DataConfig("cifar10", path=str(tmp_path / "elsewhere")))
    assert loaded(copy).encoding == "JPEG"
    assert (copy.format, original.format) == ("parquet", "torchvision")


def test_your_own_parquet_is_scaled_to_the_size_that_you_set(tmp_path, write_parquet):
    parquet_set(tmp_path, write_parquet, np.full((3, 20, 20, 3), 77, np.uint8))
    dataset = loaded(DataConfig("parquet", path=str(tmp_path), classes=10, image_size=16))
    assert dataset.train_images.shape == (3, 3, 16, 16)
    assert (dataset.train_images == 77).all()


def test_several_files_are_read_in_the_order_of_their_names(tmp_path, write_parquet):
    for number in (1, 0):
        write_parquet(tmp_path / f"train-0000{number}.parquet", [encoded(random_images(1)[0])], [number])
    write_parquet(tmp_path / "test.parquet", [encoded(random_images(1)[0])], [2])
    assert loaded(DataConfig("cifar10", format="parquet", path=str(tmp_path))).train_labels.tolist() == [0, 1]


def test_the_test_file_is_the_test_set_and_a_validation_file_only_where_there_is_none(tmp_path, write_parquet):
    image = [encoded(random_images(1)[0])]
    write_parquet(tmp_path / "train.parquet", image, [0])
    write_parquet(tmp_path / "validation.parquet", image, [1])
    config = DataConfig("cifar10", format="parquet", path=str(tmp_path))
    assert loaded(config).test_labels.tolist() == [1]
    write_parquet(tmp_path / "test.parquet", image, [2])
    assert loaded(config).test_labels.tolist() == [2]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_column": "image"}, "image_column: .*train.parquet has no column 'image'; .*img .struct.*label .int64"),
        ({"label_column": "fine"}, "label_column: .*train.parquet has no column 'fine'"),
        ({"label_column": "img"}, "label_column: column 'img' .* not whole-number labels"),
        ({"image_column": "label"}, "image_column: column 'label' of .* is int64, not encoded images"),
    ],
)
def test_a_column_that_is_not_there_or_not_of_its_kind_is_named(tmp_path, write_parquet, settings, message):
    parquet_set(tmp_path, write_parquet, random_images(1))
    config = resolve(DataConfig("cifar10", format="parquet", path=str(tmp_path), **settings))
    with pytest.raises(DataError, match=message):
        data.check(config)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": [b"x"], "b": [b"y"], "label": [1]}, r"image_column: cannot tell .*\(a or b\)"),
        ({"a": [b"x"], "target": [1]}, r"label_column: cannot tell .*\(none looks like one\)"),
        ({"a": [b"x"], "label": [1], "fine_label": [1]}, r"label_column: cannot tell .*\(label or fine_label\)"),
    ],
)
def test_ambiguous_columns_must_be_named(tmp_path, columns, message):
    for part in ("train", "test"):
        pq.write_table(pa.table(columns), tmp_path / f"{part}.parquet")
    with pytest.raises(DataError, match=message):
        resolve(DataConfig("cifar10", format="parquet", path=str(tmp_path)))


@pytest.mark.parametrize("label", [10, -1])
def test_a_label_out_of_range_is_named_with_its_row_and_file(tmp_path, write_parquet, label):
    parquet_set(tmp_path, write_parquet, random_images(2))
    (tmp_path / "train.parquet").rename(tmp_path / "train-1.parquet")
    write_parquet(tmp_path / "train-2.parquet", [encoded(image) for image in random_images(3)], [1, 2, label])
    with pytest.raises(DataError, match=rf"train-2\.parquet row 2: label {label} is outside \[0, 10\)"):
        loaded(DataConfig("cifar10", format="parquet", path=str(tmp_path)))


@pytest.mark.parametrize(
    ("image", "label", "message"),
    [
        (b"no image", 1, "row 1: this image cannot be decoded"),
        (encoded(random_images(1)[0])[:300], 1, "row 1: this image cannot be decoded"),
        (None, 1, "row 1: no image bytes"),
        (encoded(random_images(1)[0]), None, "row 1: no label"),
    ],
)
def test_a_damaged_row_is_named(tmp_path, write_parquet, image, label, message):
    parquet_set(tmp_path, write_parquet, random_images(1))
    write_parquet(tmp_path / "train.parquet", [encoded(random_images(1)[0]), image], [0, label])
    with pytest.raises(DataError, match=rf"train\.parquet {message}"):
        loaded(DataConfig("cifar10", format="parquet", path=str(tmp_path)))


def test_a_file_that_is_not_parquet_is_named(tmp_path, write_parquet):
    parquet_set(tmp_path, write_parquet, random_images(1))
    config = resolve(DataConfig("cifar10", format="parquet", path=str(tmp_path)))
    (tmp_path / "train.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(DataError, match=r"train\.parquet is not a readable Parquet file"):
        data.check(config)


def test_a_missing_part_is_named(tmp_path, write_parquet):
    config = resolve(DataConfig("parquet", path=str(tmp_path), classes=2, image_size=8))
    with pytest.raises(DataError, match=r"^path: no train\.parquet or train-00000-of-….*there: none"):
        data.check(config)
    write_parquet(tmp_path / "train.parquet", [encoded(random_images(1)[0])], [0])
    with pytest.raises(DataError, match=r"^path: no test\.parquet or .*there: train\.parquet\)"):
        data.check(config)


@pytest.mark.slow
@pytest.mark.skipif(
    not (CIFAR10_PARQUET / "train.parquet").exists(),
    reason=f"no CIFAR-10 Parquet in {CIFAR10_PARQUET}; set SWEEP_CIFAR10",
)
def test_the_real_cifar10_loads_complete_and_balanced():
    config = resolve(DataConfig("cifar10", format="parquet", path=str(CIFAR10_PARQUET), validation=5000))
    assert (config.format, config.image_column, config.label_column) == ("parquet", "img", "label")
    dataset = loaded(config)
    assert np.bincount(dataset.train_labels).tolist() == [5000] * 10
    assert np.bincount(dataset.test_labels).tolist() == [1000] * 10
    assert dataset.encoding == "JPEG"
    means = dataset.train_images.mean(axis=(0, 2, 3)) / 255
    assert means == pytest.approx(dataset.mean, abs=0.003)
    splits = data.split(dataset, config, 0, "cpu")
    [(images, labels)] = splits.train.sample(100, seeding.generator(0, "saliency"), balanced=True)
    assert images.shape == (100, 3, 32, 32)
    assert labels.bincount().tolist() == [10] * 10


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the server's own libraries
def test_parquet_is_read_from_an_object_store(tmp_path, write_parquet, monkeypatch):
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    from pyarrow import fs

    for name, value in {"ACCESS_KEY_ID": "k", "SECRET_ACCESS_KEY": "s", "EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    images = random_images(3)
    parquet_set(tmp_path, write_parquet, images)
    server.start()
    try:
        host, port = server.get_host_and_port()
        query = f"endpoint_override=http://{host}:{port}&scheme=http&region=us-east-1&allow_bucket_creation=true"
        filesystem, _ = fs.FileSystem.from_uri(f"s3://bucket?{query}")
        filesystem.create_dir("bucket")
        fs.copy_files(str(tmp_path), "bucket/cifar", source_filesystem=fs.LocalFileSystem(),
                      destination_filesystem=filesystem)  # fmt: skip
        dataset = loaded(DataConfig("cifar10", format="parquet", path=f"s3://bucket/cifar?{query}"))
        with pytest.raises(DataError, match=r"^path: no train\.parquet or .* in 's3://bucket/other"):
            data.check(resolve(DataConfig("cifar10", format="parquet", path=f"s3://bucket/other?{query}")))
    finally:
        server.stop()
    assert np.array_equal(dataset.train_images, channels_first(images))
