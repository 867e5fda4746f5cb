"""Data sets too large for memory: the same interface, read from disk."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from training import data, seeding, streaming
from training.config import TrainConfig
from training.data import DataConfig, DataError
from training.loop import Training, evaluate, train
from training.vision import torchvision


@pytest.fixture
def config(photos: DataConfig) -> DataConfig:
    return photos


def splits(config: DataConfig, seed: int = 0) -> data.Splits:
    return data.split(data.load(config), config, seed, "cpu")


def epoch(split: data.Split, batch_size: int = 4, number: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    batches = split.batches(batch_size, generator=seeding.generator(0, "training", number), augment=True)
    images, labels = zip(*batches, strict=True)
    return torch.cat(images), torch.cat(labels)


def test_a_streamed_set_splits_and_samples_like_one_in_memory(config):
    parts = splits(config)
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (12, 4, 6)
    assert parts.test.labels.tolist() == [0, 0, 0, 1, 1, 1]
    [(images, labels)] = parts.train.sample(4, seeding.generator(0, "saliency"), balanced=True)
    assert images.shape == (4, 3, 16, 16)
    assert images.dtype == torch.float32
    assert labels.bincount().tolist() == [2, 2]
    colour = images[:, 0].mean((1, 2)) > images[:, 2].mean((1, 2))
    assert torch.equal(colour.long(), labels)


def test_a_fraction_of_a_streamed_set_is_stratified_and_leaves_the_images_held_out_as_they_are(config):
    whole, part = splits(config), splits(replace(config, train=0.5))
    assert part.train.labels.bincount().tolist() == [round(0.5 * n) for n in whole.train.labels.bincount().tolist()]
    assert torch.equal(images_of(part.validation), images_of(whole.validation))
    chosen = {image.numpy().tobytes() for image in images_of(part.train)}
    assert chosen < {image.numpy().tobytes() for image in images_of(whole.train)}


def images_of(part: data.Split | None) -> torch.Tensor:
    assert part is not None
    return torch.cat([images for images, _ in part.batches(5)])


def test_shuffled_batches_follow_the_splits_order(config):
    split = splits(config).train
    _, labels = epoch(split)
    assert torch.equal(labels, split.labels[split.order(seeding.generator(0, "training", 1))])


def test_augmentation_depends_on_the_generator_alone_not_on_the_batch_size(config):
    split = splits(config).train
    torch.manual_seed(1)
    first, _ = epoch(split)
    torch.manual_seed(2)
    assert torch.equal(first, epoch(split, batch_size=5)[0])
    assert not torch.equal(first.sort(0).values, epoch(split, number=2)[0].sort(0).values)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_from_a_later_one_on_are_the_same_and_those_before_are_not_read(config, workers):
    config = replace(config, workers=workers)
    split, draws = splits(config).train, lambda: seeding.generator(0, "training", 1)
    whole = list(split.batches(5, generator=draws(), augment=True))
    for row in split.order(draws())[:5]:
        Path(split._images.files[row].decode()).unlink()  # type: ignore[attr-defined]
    for first in (1, 2, 3, 4):
        rest = list(split.batches(5, generator=draws(), augment=True, first=first))
        assert len(rest) == max(0, 3 - first)
        for (images, labels), (its_images, its_labels) in zip(rest, whole[first:], strict=True):
            assert torch.equal(images, its_images) and torch.equal(labels, its_labels)


def test_worker_processes_read_the_same_and_the_global_generator_stays_as_it_was(config):
    torch.manual_seed(1)
    state = torch.get_rng_state()
    alone, _ = epoch(splits(config).train)
    with_workers, _ = epoch(splits(replace(config, workers=2)).train)
    assert torch.equal(alone, with_workers)
    assert torch.equal(torch.get_rng_state(), state)


def test_flips_can_be_turned_off(config):
    def left_is_brighter(images: torch.Tensor) -> torch.Tensor:
        return images[..., :4].mean((1, 2, 3)) > images[..., -4:].mean((1, 2, 3)) + 0.5

    def right_is_brighter(images: torch.Tensor) -> torch.Tensor:
        return left_is_brighter(images.flip(-1))

    assert right_is_brighter(epoch(splits(config).train)[0]).any()
    assert not right_is_brighter(epoch(splits(replace(config, flip=False)).train)[0]).any()


def test_test_images_are_the_scaled_centre_every_time(config):
    split = splits(config).test
    (first, _), (again, _) = next(split.batches(6)), next(split.batches(6))
    assert torch.equal(first, again)
    # the shorter side of 30 becomes 18, of which the middle 16 stay: the bright half begins left of the middle
    assert (first[..., 0].mean((1, 2)) > first[..., -1].mean((1, 2))).all()


def test_the_fingerprint_knows_the_files_and_not_where_they_lie(config, tmp_path):
    fingerprint = data.load(config).fingerprint
    moved = tmp_path.rename(tmp_path.parent / "moved")
    assert data.load(replace(config, path=str(moved))).fingerprint == fingerprint
    (moved / "train" / "red" / "7.png").rename(moved / "train" / "blue" / "8.png")
    assert data.load(replace(config, path=str(moved))).fingerprint != fingerprint


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_image_is_named(config, workers):
    (Path(config.path) / "val" / "red" / "1.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"val/red/1\.png: this image cannot be decoded"):
        list(splits(replace(config, workers=workers)).test.batches(2))


@pytest.mark.slow
def test_a_network_trains_on_a_streamed_set(config):
    parts = splits(config)
    model = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 2))
    results = list(train(model, parts, TrainConfig(epochs=10, batch_size=4), 0, device="cpu"))
    assert results[-1].train_loss < results[0].train_loss
    assert evaluate(model, parts.test, device="cpu")[0] == 1.0


# --- decoded no larger than needed


def photograph(path: Path, width: int, height: int) -> Path:
    """An image without fine detail, of all colours."""
    draws = torch.randint(256, (6, 8, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    Image.fromarray(draws.numpy()).resize((width, height), Image.Resampling.BICUBIC).save(path, quality=95)
    return path


def read(path: Path, side: int, seed: int | None) -> torch.Tensor:
    files = streaming._ImageFiles(np.array([str(path).encode()]), torch.zeros(1), side, flip=True)
    return files[(0, seed)][0]


def plainly(path: Path, side: int, seed: int | None) -> torch.Tensor:
    """By torchvision's transforms of the image at full size."""
    transforms = torchvision().transforms
    with Image.open(path) as file, torch.random.fork_rng():
        image = file.convert("RGB")
        if seed is None:
            image = transforms.CenterCrop(side)(transforms.Resize(round(side * 256 / 224))(image))
        else:
            torch.default_generator.manual_seed(seed)
            image = transforms.RandomHorizontalFlip()(transforms.RandomResizedCrop(side)(image))
        return transforms.functional.pil_to_tensor(image)


SEEDS = (None, *range(8))


@pytest.mark.parametrize(("name", "side"), [("photo.png", 16), ("photo.jpg", 100)])
def test_full_size_decoding_equals_torchvisions_transforms(name, side, tmp_path):
    path = photograph(tmp_path / name, 160, 120)
    for seed in SEEDS:
        assert torch.equal(read(path, side, seed), plainly(path, side, seed))


def test_smaller_decoding_is_close_to_full_size_decoding(tmp_path):
    path = photograph(tmp_path / "photo.jpg", 1600, 1200)
    for seed in SEEDS:
        apart = (read(path, 64, seed).float() - plainly(path, 64, seed).float()).abs()
        assert apart.mean() < 4  # of 256 levels


@pytest.mark.parametrize(
    ("name", "scale", "size"),
    [
        ("photo.jpg", 1.0, (160, 120)),
        ("photo.jpg", 0.51, (160, 120)),
        ("photo.jpg", 0.5, (80, 60)),
        ("photo.jpg", 0.25, (40, 30)),
        ("photo.jpg", 0.01, (20, 15)),
        ("photo.jpg", 3.0, (160, 120)),
        ("photo.png", 0.25, (160, 120)),
    ],
)
def test_jpeg_is_decoded_at_the_least_size_that_is_large_enough(name, scale, size, tmp_path):
    with Image.open(photograph(tmp_path / name, 160, 120)) as file:
        assert streaming._decoded(file, scale).size == size


def test_a_training_tells_the_share_of_it_that_waited_for_images_from_disk(config, monkeypatch):
    parts = splits(config)
    slow = parts.train._read

    def read(*arguments):
        for batch in slow(*arguments):
            time.sleep(0.2)
            yield batch

    monkeypatch.setattr(parts.train, "_read", read)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 16 * 16, 2))
    training = Training(model, parts, TrainConfig(epochs=2, batch_size=4), 0, device="cpu")
    assert training.data_wait is None
    list(training.run())
    assert 0.5 < training.data_wait < 1


def test_a_training_on_images_in_memory_waits_for_none(make_splits):
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    training = Training(model, make_splits(), TrainConfig(epochs=1), 0, device="cpu")
    list(training.run())
    assert training.data_wait is None
