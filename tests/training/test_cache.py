"""Streamed images from a bucket or a shared folder: copied to a machine's own disk once, whole or not at all."""

import errno
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pyarrow.fs
import pytest
import torch

from training import cache, data, seeding
from training.data import DataConfig, DataError, StreamedDataset
from training.sources import bucket_folder

Files = dict[str, int]


@pytest.fixture
def photos(photos: DataConfig, tmp_path: Path) -> DataConfig:
    """Some nested and some that are no images, and in a folder of its own."""
    (tmp_path / "shared").mkdir()
    for part in ("train", "val"):
        shutil.move(tmp_path / part, tmp_path / "shared" / part)
    shared = tmp_path / "shared"
    (shared / "train/blue/more").mkdir()
    shutil.move(shared / "train/blue/3.png", shared / "train/blue/more/1.png")
    (shared / "train/blue/notes.txt").write_text("no image")
    (shared / "train/.hidden").mkdir()
    (shared / "train/.hidden/1.png").write_text("no data")
    return replace(photos, path=str(shared))


@pytest.fixture
def bucket(photos: DataConfig, s3: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[DataConfig]:
    """The same in a bucket, with a cache."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    address = f"s3://images-{tmp_path.name.replace('_', '-').lower()[-30:]}/photos?{s3}"
    filesystem, root = pyarrow.fs.FileSystem.from_uri(address)
    pyarrow.fs.copy_files(photos.path, root, destination_filesystem=filesystem)
    bucket_folder.contents.cache_clear()
    yield replace(photos, path=address, cache=str(tmp_path / "cache"))
    bucket_folder.contents.cache_clear()


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Files:
    """How often each file was copied."""
    counts: Files = {}
    write = cache._write

    def counted(path: Path, content: bytes) -> None:
        counts[path.name] = counts.get(path.name, 0) + 1
        write(path, content)

    monkeypatch.setattr(cache, "_write", counted)
    return counts


def streamed(config: DataConfig) -> StreamedDataset:
    loaded = data.load(config)
    assert isinstance(loaded, StreamedDataset)
    return loaded


def images(dataset: StreamedDataset, config: DataConfig) -> torch.Tensor:
    splits = data.split(dataset, config, 0, "cpu")
    batches = splits.train.batches(4, generator=seeding.generator(0, "training", 1), augment=True)
    return torch.cat([batch for batch, _ in batches])


def test_a_bucket_has_the_listing_of_a_folder_and_its_copies_the_same_images(photos, bucket):
    local, remote = streamed(photos), streamed(bucket)
    assert (remote.fingerprint, remote.content) == (local.fingerprint, local.content)
    assert data.summary(bucket) == data.summary(photos)
    assert data.fingerprint(bucket) == data.fingerprint(photos)
    copied = data.localised(remote)
    assert torch.equal(images(copied, bucket), images(local, photos))
    shutil.rmtree(photos.path)
    assert torch.equal(images(copied, bucket), images(data.localised(remote), bucket))


def test_a_shared_folder_is_copied_as_a_bucket_is(photos, tmp_path):
    cached = replace(photos, cache=str(tmp_path / "cache"))
    copied = data.localised(streamed(cached))
    assert all(file.startswith(bytes(tmp_path / "cache")) for file in copied.train_files)
    assert torch.equal(images(copied, cached), images(streamed(photos), photos))


def test_several_processes_at_once_copy_each_file_once(photos, tmp_path, written):
    dataset = streamed(replace(photos, cache=str(tmp_path / "cache")))
    threads = [threading.Thread(target=data.localised, args=(dataset,)) for _ in range(4)]  # a lock is of an open file
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(written.values()) == len(dataset.train_files) + len(dataset.test_files)
    data.localised(dataset)
    assert sum(written.values()) == len(dataset.train_files) + len(dataset.test_files)


def test_a_cache_that_was_left_half_filled_is_completed(photos, tmp_path, written):
    dataset = streamed(replace(photos, cache=str(tmp_path / "cache")))
    copied = data.localised(dataset)
    missing, cut, *_ = (Path(file.decode()) for file in copied.train_files)
    missing.unlink()
    cut.write_bytes(cut.read_bytes()[:10])
    written.clear()
    data.localised(dataset)
    assert written == {missing.name: 1, cut.name: 1}
    assert torch.equal(images(copied, photos), images(streamed(photos), photos))


def full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1))


def filling_up(monkeypatch: pytest.MonkeyPatch) -> None:
    write = cache._write

    def fails(path: Path, content: bytes) -> None:
        if path.parent.name == "red":
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, content)

    monkeypatch.setattr(cache, "_write", fails)


@pytest.mark.parametrize("disk", [full, filling_up])
def test_a_full_disk_is_a_clear_error_and_half_a_cache_is_no_whole_one(
    photos, tmp_path, monkeypatch, disk: Callable[[pytest.MonkeyPatch], None]
):
    dataset = streamed(replace(photos, cache=str(tmp_path / "cache")))
    with monkeypatch.context() as patched:
        disk(patched)
        with pytest.raises(DataError, match=rf"cache: no room in {tmp_path}/cache/.*; free some, or point data\.cache"):
            data.localised(dataset)
    assert not [*(tmp_path / "cache").rglob("*.tmp")]
    assert torch.equal(images(data.localised(dataset), photos), images(streamed(photos), photos))


def test_an_image_that_changed_since_it_was_listed_is_refused(photos, tmp_path):
    dataset = streamed(replace(photos, cache=str(tmp_path / "cache")))
    Path(photos.path, "train/red/0.png").write_bytes(b"another image")
    with pytest.raises(DataError, match=r"train/red/0\.png has 13 bytes and had .* when the launch listed it"):
        data.localised(dataset)


def test_what_is_told_can_end_the_copying(photos, tmp_path):
    class Enough(Exception): ...

    def stop(text: str) -> None:
        assert "copied 22 of 22 images" in text
        raise Enough

    with pytest.raises(Enough):
        data.localised(streamed(replace(photos, cache=str(tmp_path / "cache"))), stop)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "imagenet", "path": "s3://bucket/imagenet"}, "cache: imagenet in a bucket is read from copies"),
        ({"name": "digits", "cache": "/tmp/images"}, "cache: digits is read into memory once"),
        ({"name": "imagenet", "cache": "images"}, "cache: must be an absolute path"),
    ],
)
def test_a_cache_that_cannot_be_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        data.resolve(DataConfig(**values))


def test_a_bucket_without_the_set_says_what_it_should_have(bucket):
    filesystem, root = pyarrow.fs.FileSystem.from_uri(bucket.path)
    filesystem.delete_dir(f"{root}/val")
    bucket_folder.contents.cache_clear()
    assert not data.present(bucket)
    with pytest.raises(DataError, match="should have the folders train and val or validation"):
        data.check(bucket)
