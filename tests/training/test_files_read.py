"""Which files form a data set: files that are read, files that are skipped and named, files that are refused."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, features

from training import data
from training.data import DataConfig, DataError, resolve
from training.sources import folder as folders
from training.sources import shards

from .conftest import encoded, loaded, random_images


@pytest.fixture
def cats_and_dogs(tmp_path, write_images) -> Path:
    for folder in ("train/cat", "train/dog", "test/cat", "test/dog"):
        write_images(tmp_path / folder, random_images(2, size=8))
    return tmp_path


def own(path: Path, **settings) -> DataConfig:
    return DataConfig("image_folder", path=str(path), **{"classes": 2, "image_size": 8, **settings})


def summary(config: DataConfig) -> str:
    return data.summary(resolve(config))


# --- folders


@pytest.mark.parametrize("ending", ["gif", "jp2", "avif", "jfif", "JPG", "webp", "apng", "qoi", "j2k", "ppm", "tiff"])
def test_images_of_every_kind_that_pillow_decodes_are_read(cats_and_dogs, ending):
    if ending == "avif" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    Image.new("RGB", (8, 8), (200, 200, 200)).save(cats_and_dogs / "train" / "cat" / f"bright.{ending}")
    dataset = loaded(own(cats_and_dogs))
    assert len(dataset.train_labels) == 5
    assert (np.abs(dataset.train_images.astype(int) - 200) < 6).all((1, 2, 3)).any()
    assert "leaves out" not in summary(own(cats_and_dogs))


def test_one_line_says_which_files_are_read_and_which_are_left_out(cats_and_dogs):
    for name in ("a.heic", "b.HEIC", "noending", "c.npy"):
        (cats_and_dogs / "train" / "cat" / name).write_bytes(b"x")
    shutil.copy(cats_and_dogs / "train/cat/0.png", cats_and_dogs / "train/stray.png")  # in no class
    for folder in ("val", "test_ood"):
        (cats_and_dogs / folder).mkdir()
    said = summary(own(cats_and_dogs))
    assert said.startswith(
        "reads 4 images of train and 4 images of test; leaves out the folder test_ood, the folder val, "
    )
    for part in ("2 .heic (train/cat/a.heic)", "1 without an ending (train/cat/noending)", "1 .npy", "train/stray.png"):
        assert part in said
    assert "\n" not in said


def test_hidden_files_and_folders_and_those_of_systems_are_no_classes_and_no_images(cats_and_dogs):
    for folder in (".ipynb_checkpoints", "__MACOSX", "train/.ipynb_checkpoints", "train/__MACOSX", "test/__MACOSX"):
        (cats_and_dogs / folder).mkdir()
    for folder in ("train/cat/.ipynb_checkpoints", "train/cat/__MACOSX", "train/__MACOSX/cat"):
        (cats_and_dogs / folder).mkdir()
        shutil.copy(cats_and_dogs / "train/cat/0.png", cats_and_dogs / folder / "0-checkpoint.png")
    (cats_and_dogs / "train/cat/._0.png").write_bytes(b"no image")
    (cats_and_dogs / "train/cat/Thumbs.db").write_bytes(b"no image")
    assert loaded(own(cats_and_dogs)).train_labels.tolist() == [0, 0, 1, 1]
    assert summary(own(cats_and_dogs)) == "reads 4 images of train and 4 images of test"


def test_files_are_read_in_the_order_that_torchvision_has(cats_and_dogs, write_images):
    from training.vision import torchvision

    for inner in ("train/cat/a", "train/cat/a-b", "train/cat/a/b", "train/dog/Z"):
        (cats_and_dogs / inner).mkdir(exist_ok=True)
        shutil.copy(cats_and_dogs / "train/cat/0.png", cats_and_dogs / inner / "10.png")
        shutil.copy(cats_and_dogs / "train/cat/0.png", cats_and_dogs / inner / "9.PNG")
    theirs = torchvision().datasets.ImageFolder(str(cats_and_dogs / "train"))
    ours, _ = folders.listings(resolve(own(cats_and_dogs)))
    assert [(str(file), int(label)) for file, label in zip(ours.files, ours.labels, strict=True)] == theirs.samples


def test_a_class_with_files_of_other_kinds_alone_is_named(cats_and_dogs):
    for file in (cats_and_dogs / "train/dog").iterdir():
        file.rename(file.with_suffix(".heic"))
    with pytest.raises(
        DataError, match=r"^path: .*train/dog has no images \(2 files of other kinds, such as 1\.heic\)"
    ):
        data.summary(resolve(own(cats_and_dogs)))


# --- Parquet


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        ("train.parquet train_small.parquet train-backup.parquet training.parquet", "train.parquet"),
        ("train-00000-of-00002.parquet train-00001-of-00002.parquet", None),
        ("train-00000-of-00002-a1b2c3d4e5f60718.parquet train-00001-of-00002-0123456789abcdef.parquet", None),
        ("train-00001-of-00002.parquet train-00002-of-00002.parquet", None),  # counted from 1
        ("train-0.parquet train-1.parquet", None),
        ("train_0.parquet train_1.parquet", None),
        ("train0.parquet train.parquet.crc trainer.parquet mytrain.parquet", "train0.parquet"),
        ("test.parquet test_ood.parquet", ""),
    ],
)
def test_a_part_is_the_files_of_its_name_and_no_others(names, chosen):
    assert shards.of_part("train", names.split()) == (names if chosen is None else chosen).split()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            "train-00000-of-00003.parquet train-00002-of-00003.parquet",
            "1 of 3 train files are missing: train-00001-of-00003",
        ),
        ("train-00001-of-00003.parquet", "2 of 3 train files are missing: train-00000-of-00003, train-00002-of-00003"),
        ("train.parquet train-00000-of-00001.parquet", "two sets of train files in one folder"),
        ("train.parquet train-0.parquet", "two sets of train files in one folder"),
        ("train-00000-of-00001.parquet train-00000-of-00002.parquet train-00001-of-00002.parquet", "two sets of train"),
        ("train-00000-of-00001-aaaaaaaa.parquet train-00000-of-00001-bbbbbbbb.parquet", "is present a second time"),
        (
            "train-00000-of-00001.parquet train-00001-of-00001.parquet",
            "train file number 1 is present, but there are only 1",
        ),
    ],
)
def test_missing_doubled_and_mixed_files_are_an_error(names, message):
    with pytest.raises(DataError, match=rf"^path: .*{message}"):
        shards.of_part("train", names.split())


def parquet_set(folder: Path, *names: str) -> DataConfig:
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        pq.write_table(pa.table({"image": [encoded(random_images(1, seed=number)[0])], "label": [0]}), folder / name)
    return DataConfig("parquet", path=str(folder), classes=2, image_size=8)


def test_other_files_in_the_folder_are_not_read_but_named(tmp_path):
    config = parquet_set(
        tmp_path, "train.parquet", "test.parquet", "train_small.parquet", "test_ood.parquet", "validation.parquet"
    )
    dataset = loaded(config)
    assert (len(dataset.train_labels), len(dataset.test_labels)) == (1, 1)
    assert summary(config) == (
        "reads train.parquet and test.parquet; leaves out test_ood.parquet, train_small.parquet, validation.parquet"
    )


def test_a_missing_shard_is_detected_before_any_file_is_read(tmp_path):
    config = parquet_set(tmp_path, "train-00000-of-00002.parquet", "test.parquet")
    with pytest.raises(DataError, match=r"^path: 1 of 2 train files are missing: train-00001-of-00002"):
        resolve(config)


def test_without_a_training_file_those_that_are_there_are_named(tmp_path):
    config = parquet_set(tmp_path, "train_small.parquet", "test.parquet")
    with pytest.raises(DataError, match=r"^path: no train\.parquet or .*there: test\.parquet, train_small\.parquet"):
        data.check(resolve(config))


def test_a_folder_named_like_a_column_is_no_column(tmp_path):
    config = parquet_set(tmp_path / "label=1", "train.parquet", "test.parquet")
    assert loaded(config).train_labels.tolist() == [0]


# --- sets that cannot be read


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_part_without_rows_is_found_before_anything_is_trained(tmp_path, part):
    config = parquet_set(tmp_path, "train.parquet", "test.parquet")
    empty = pq.read_table(tmp_path / f"{part}.parquet").slice(0, 0)
    pq.write_table(empty, tmp_path / f"{part}.parquet")
    name = {"train": "training", "test": "test"}[part]
    with pytest.raises(DataError, match=rf"^path: .*{part}\.parquet: the {name} set has no rows"):
        data.check(resolve(config))


def test_annotations_that_name_no_image_are_an_empty_test_set(cats_and_dogs):
    (cats_and_dogs / "test").rename(cats_and_dogs / "val")
    (cats_and_dogs / "val/val_annotations.txt").write_text("")
    for name in ("tiny_imagenet", "imagenet"):
        with pytest.raises(DataError, match=r"^path: the test set in .* has no images"):
            data.load(resolve(DataConfig(name, path=str(cats_and_dogs), classes=2, image_size=8)))


@pytest.mark.parametrize("column", ["image", "label"])
def test_a_column_that_is_there_twice_is_named(tmp_path, column):
    config = parquet_set(tmp_path, "train.parquet", "test.parquet")
    table = pq.read_table(tmp_path / "train.parquet")
    pq.write_table(
        pa.table([*table.columns, table[column]], names=[*table.column_names, column]), tmp_path / "train.parquet"
    )
    with pytest.raises(DataError, match=rf"^{column}_column: .*train\.parquet has 2 columns called '{column}'"):
        data.check(resolve(config))


@pytest.mark.parametrize("labels", [["cat"], [0.0], [True]], ids=["text", "floating point", "true or false"])
def test_labels_that_are_not_whole_numbers_are_refused_by_type(tmp_path, labels):
    config = parquet_set(tmp_path, "train.parquet", "test.parquet")
    for part in ("train", "test"):
        table = pq.read_table(tmp_path / f"{part}.parquet")
        pq.write_table(pa.table({"image": table["image"], "label": labels}), tmp_path / f"{part}.parquet")
    with pytest.raises(DataError, match=r"^label_column: column 'label' of .* is \w+, not whole-number labels"):
        data.check(resolve(config))
