"""Configs, splits and batches; how each format is read is in test_sources.py and test_streaming.py."""

import dataclasses
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from training import augment, data, seeding, splits
from training.data import DataConfig, DataError, resolve
from training.sources import builtin
from training.vision import torchvision


def digits(**settings) -> tuple[data.Dataset, DataConfig]:
    config = resolve(DataConfig("digits", **settings))
    return data.load(config), config  # type: ignore[return-value]


# --- configs


def test_resolving_fills_in_what_the_set_is_known_for(tmp_path):
    resolved = resolve(DataConfig("cifar10", path=str(tmp_path)))
    assert dataclasses.asdict(resolved) == {
        "name": "cifar10",
        "path": str(tmp_path),
        "download": False,
        "format": "torchvision",
        "image_column": None,
        "label_column": None,
        "fingerprint": None,
        "classes": 10,
        "image_size": 32,
        "validation": 0,
        "train": 1.0,
        "crop_padding": 4,
        "flip": True,
        "workers": 4,
        "cache": None,
    }


def test_resolving_again_changes_nothing_and_settings_win_over_the_table():
    resolved = resolve(DataConfig("digits", flip=True, crop_padding=1, validation=0.0))
    assert (resolved.flip, resolved.crop_padding, resolved.validation) == (True, 1, 0)
    assert isinstance(resolved.validation, int)  # 0 and 0.0 are one trial
    assert resolve(resolved) == resolved


def test_only_the_location_of_the_data_is_outside_a_trials_identity():
    outside = {field.name for field in dataclasses.fields(DataConfig) if not field.metadata.get("identity", True)}
    assert outside == {"path", "cache", "download", "workers", "image_column", "label_column"}


@pytest.mark.parametrize("name", data.names())
def test_every_set_in_the_table_resolves(name, tmp_path):
    known = data.info(name)
    own = {} if known.classes else {"classes": 3, "image_size": 16}
    resolved = resolve(DataConfig(name, path=str(tmp_path), **own))
    assert resolved.format == known.formats[0]
    assert len(known.mean) == len(known.std) == known.channels


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("cifr10", {}, "name: unknown data set 'cifr10'; did you mean 'cifar10'?"),
        ("CIFAR-10", {}, "name: unknown data set 'CIFAR-10'; did you mean 'cifar10'?"),
        ("svhn", {}, "name: unknown data set 'svhn'; known are digits, mnist"),
        ("MNIST", {}, "name: unknown data set 'MNIST'; did you mean 'mnist'?"),
        ("image_folder", {"image_size": 32}, "classes: the data set 'image_folder' is your own; set data.classes"),
        ("parquet", {"classes": 3}, "image_size: the data set 'parquet' is your own; set data.image_size"),
        ("digits", {"format": "folder"}, "format: digits is available as builtin, not as folder"),
        ("digits", {"download": True}, "download: digits cannot be fetched"),
        ("digits", {"label_column": "y"}, "image_column, label_column: digits is read as builtin"),
        ("imagenet", {"crop_padding": 4}, "crop_padding: imagenet uses random resized crops"),
    ],
)
def test_an_invalid_config_is_refused(name, settings, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the message is compared below
        resolve(DataConfig(name, path="nowhere", **settings))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("classes", 1),
        ("classes", 10.0),
        ("image_size", 0),
        ("crop_padding", -1),
        ("workers", -1),
        ("validation", -5),
        ("validation", 1.0),
        ("validation", 5000.0),
        ("validation", float("nan")),
        ("validation", True),
        ("train", 0.0),
        ("train", 1.5),
        ("train", -0.1),
        ("train", float("nan")),
        ("train", True),
        ("format", "csv"),
        ("classes", 2**40),
        ("image_size", 2**40),
        ("crop_padding", 2**40),
        ("workers", 2**40),
        ("path", ""),
        ("path", "s3://"),
        ("path", "x" * 256),
        ("path", "a/" * 3000),
        ("path", "~no_such_user/x"),
    ],
)
def test_a_value_out_of_range_is_refused_by_field(field, value):
    with pytest.raises(ValueError, match=f"^{field}: "):
        DataConfig("digits", **{field: value})


def test_an_address_may_be_longer_than_a_files_name():
    address = "s3://bucket/images?session_token=" + "x" * 1000
    assert DataConfig("cifar10", path=address).path == address


# --- digits


def test_digits_have_a_fixed_test_set_with_36_of_each():
    dataset, _ = digits()
    assert dataset.train_images.shape == (1437, 1, 8, 8)
    assert np.bincount(dataset.test_labels).tolist() == [36] * 10
    assert dataset.train_images.max() == 255
    assert dataset.encoding == "exact"


def test_digits_are_scikit_learns_wherever_it_keeps_them(monkeypatch):
    expected = load_digits()
    for elsewhere in (False, True):
        if elsewhere:
            monkeypatch.setattr(builtin.Path, "is_file", lambda path: False)
        images, labels = builtin._read()
        assert np.array_equal(images, expected.images)
        assert np.array_equal(labels, expected.target)


def test_the_tables_mean_and_deviation_are_those_of_the_digits():
    dataset, _ = digits()
    pixels = np.concatenate([dataset.train_images, dataset.test_images]) / 255
    assert dataset.mean == pytest.approx([pixels.mean()], abs=1e-4)
    assert dataset.std == pytest.approx([pixels.std()], abs=1e-4)


def test_no_digit_is_both_in_training_and_in_test():
    dataset, _ = digits()
    train, test = ({image.tobytes() for image in part} for part in (dataset.train_images, dataset.test_images))
    assert not train & test


def test_the_fingerprint_is_pinned_and_tells_data_sets_apart():
    # changing this changes what every digits trial was trained on
    dataset, _ = digits()
    assert dataset.fingerprint[:16] == "39b12e212954a7cc"
    smaller, _ = digits(image_size=4)
    assert smaller.fingerprint != dataset.fingerprint
    assert smaller != dataset
    assert digits()[0] == dataset


# --- splits


def test_validation_images_are_held_out_of_training_by_seed():
    dataset, config = digits(validation=100)
    everything = sorted(image.tobytes() for image in dataset.train_images)
    held_out = set()
    for seed in (0, 1):
        splits = data.split(dataset, config, seed, "cpu")
        assert (len(splits.train), len(splits.validation), len(splits.test)) == (1337, 100, 360)
        rows = [pixels(dataset, image) for part in (splits.train, splits.validation) for image in images_of(part)]
        assert sorted(rows) == everything
        held_out.add(tuple(rows[1337:]))
    assert len(held_out) == 2


def images_of(part: data.Split) -> torch.Tensor:
    return torch.cat([images for images, _ in part.batches(500)])


def pixels(dataset: data.Dataset, image: torch.Tensor) -> bytes:
    """Undo the normalisation."""
    return ((image * dataset.std[0] + dataset.mean[0]) * 255).round().to(torch.uint8).numpy().tobytes()


def test_the_same_number_as_a_fraction_is_the_same_split():
    dataset, config = digits(validation=144)
    one = data.split(dataset, config, 0, "cpu")
    other = data.split(dataset, dataclasses.replace(config, validation=144 / 1437), 0, "cpu")
    assert torch.equal(images_of(one.validation), images_of(other.validation))


def test_without_validation_all_training_images_are_for_training():
    dataset, config = digits()
    splits = data.split(dataset, config, 0, "cpu")
    assert splits.validation is None
    assert torch.equal(splits.train.labels, torch.from_numpy(dataset.train_labels))


def test_holding_out_every_training_image_is_refused():
    dataset, config = digits(validation=1437)
    with pytest.raises(ValueError, match=r"^validation: 1437 of 1437 training images"):
        data.split(dataset, config, 0, "cpu")


def rows_of(part: splits.MemorySplit) -> set[int]:
    return set(part.in_order().rows.tolist())


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.003])
@pytest.mark.parametrize("validation", [0, 0.1])
def test_a_fraction_has_exactly_as_many_images_of_each_class_as_rounding_gives_and_at_least_one(fraction, validation):
    dataset, config = digits(validation=validation)
    whole = data.split(dataset, config, 3, "cpu").train.labels.bincount()
    part = data.split(dataset, dataclasses.replace(config, train=fraction), 3, "cpu").train.labels.bincount()
    assert part.tolist() == [max(1, round(fraction * count)) for count in whole.tolist()]
    sizes = data.training_class_sizes(dataset, dataclasses.replace(config, train=fraction), 3)
    assert sizes.tolist() == part.tolist()


def test_a_fraction_leaves_the_images_held_out_as_they_are_and_takes_none_of_them():
    dataset, config = digits(validation=200)
    whole = data.split(dataset, config, 0, "cpu")
    part = data.split(dataset, dataclasses.replace(config, train=0.1), 0, "cpu")
    assert rows_of(part.validation) == rows_of(whole.validation)
    assert rows_of(part.test) == rows_of(whole.test)
    assert rows_of(part.train) < rows_of(whole.train)


def test_a_fraction_is_drawn_by_seed_and_a_smaller_one_is_part_of_it():
    dataset, config = digits()

    def rows(fraction: float, seed: int) -> set[int]:
        return rows_of(data.split(dataset, dataclasses.replace(config, train=fraction), seed, "cpu").train)

    assert rows(0.1, 0) == rows(0.1, 0)
    assert rows(0.1, 0) != rows(0.1, 1)
    assert rows(0.1, 0) < rows(0.3, 0)


def test_all_of_the_images_is_the_split_that_there_always_was():
    dataset, config = digits(validation=100)
    one = data.split(dataset, config, 0, "cpu").train
    other = data.split(dataset, dataclasses.replace(config, train=1), 0, "cpu").train
    assert torch.equal(images_of(one), images_of(other))


# --- batches


def test_batches_without_a_generator_come_in_order_and_the_last_is_smaller(make_splits):
    test = make_splits(10).test
    batches = list(test.batches(4))
    assert [len(labels) for _, labels in batches] == [4, 4, 2]
    assert torch.equal(torch.cat([labels for _, labels in batches]), test.labels)
    assert batches[0][0].dtype == torch.float32
    assert batches[0][1].dtype == torch.int64


def test_shuffled_batches_follow_the_splits_order(make_splits):
    train = make_splits(50).train
    order = train.order(seeding.generator(0, "training", 1))
    labels = torch.cat([labels for _, labels in train.batches(16, generator=seeding.generator(0, "training", 1))])
    assert torch.equal(labels, train.labels[order])
    assert order.sort().values.tolist() == list(range(50))
    assert not torch.equal(order, train.order(seeding.generator(0, "training", 2)))


def test_normalisation_is_torchvisions(make_splits):
    dataset, config = digits()
    images, _ = next(data.split(dataset, config, 0, "cpu").test.batches(20))
    scaled = torch.from_numpy(dataset.test_images[:20]).float() / 255
    expected = torchvision().transforms.functional.normalize(scaled, dataset.mean, dataset.std)
    assert torch.equal(images, expected)


def test_augmented_batches_are_the_images_cropped_and_flipped_before_normalisation(make_splits):
    dataset, config = digits(crop_padding=2, flip=True)
    train = data.split(dataset, config, 0, "cpu").train
    generator = seeding.generator(0, "training", 1)
    order = train.order(generator)
    draws = augment.draw(len(train), generator, crop_padding=2, flip=True)
    expected = augment.apply(torch.from_numpy(dataset.train_images)[order], draws, crop_padding=2)
    found = [
        pixels(dataset, image)
        for images, _ in train.batches(64, generator=seeding.generator(0, "training", 1), augment=True)
        for image in images
    ]
    assert found == [image.numpy().tobytes() for image in expected]


@given(st.integers(1, 70))
def test_the_batch_size_does_not_change_the_images_of_an_epoch(make_splits_once, batch_size):
    train = make_splits_once

    def epoch(size: int) -> torch.Tensor:
        batches = train.batches(size, generator=seeding.generator(0, "training", 1), augment=True)
        return torch.cat([images for images, _ in batches])

    assert torch.equal(epoch(batch_size), epoch(64))


@pytest.fixture(scope="module")
def make_splits_once() -> data.Split:
    dataset, config = digits(validation=1373, crop_padding=1, flip=True)
    return data.split(dataset, config, 0, "cpu").train


def test_augmenting_without_a_generator_is_refused(make_splits):
    with pytest.raises(ValueError, match="need a generator"):
        make_splits().train.batches(8, augment=True)


# --- samples


def test_a_sample_draws_without_replacement_and_only_from_its_generator(make_splits):
    train = make_splits(20, crop_padding=0, flip=False).train
    torch.manual_seed(0)
    state = torch.get_rng_state()
    [(images, labels)] = train.sample(20, seeding.generator(0, "saliency", 1))
    assert len(images.unique(dim=0)) == 20
    assert not torch.equal(labels, train.labels)
    [(again, _)] = train.sample(20, seeding.generator(0, "saliency", 1))
    assert torch.equal(images, again)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_sample_is_augmented_by_default(make_splits):
    train = make_splits(20).train
    [(augmented, labels)] = train.sample(20, seeding.generator(0, "saliency"))
    [(plain, same_labels)] = train.sample(20, seeding.generator(0, "saliency"), augment=False)
    assert torch.equal(labels, same_labels)
    assert not torch.equal(augmented, plain)


def test_a_balanced_sample_has_equally_many_of_each_class_in_random_order():
    dataset, config = digits(validation=0.5)
    train = data.split(dataset, config, 3, "cpu").train
    [(images, labels)] = train.sample(100, seeding.generator(0, "saliency"), balanced=True)
    assert labels.bincount().tolist() == [10] * 10
    assert len(images.unique(dim=0)) == 100
    assert not torch.equal(labels, labels.sort().values)
    sorted_images = images_of(train)
    for image, label in zip(images, labels, strict=True):
        row = (sorted_images == image).flatten(1).all(1).nonzero()[0, 0]
        assert train.labels[row] == label


@pytest.mark.parametrize(
    ("count", "balanced", "message"),
    [(21, False, "cannot draw 21 images"), (6, True, "multiple of 4 up to 20"), (24, True, "multiple of 4 up to 20")],
)
def test_a_sample_larger_than_the_split_or_not_divisible_is_refused(make_splits, count, balanced, message):
    with pytest.raises(ValueError, match=message):
        make_splits(20).train.sample(count, seeding.generator(0, "saliency"), balanced=balanced)


def test_read_only_arrays_as_shared_memory_gives_them_are_fine():
    dataset, config = digits()
    for array in (dataset.train_images, dataset.train_labels, dataset.test_images, dataset.test_labels):
        array.setflags(write=False)
    shared = dataclasses.replace(dataset, fingerprint="read-only")
    splits = data.split(shared, config, 0, "cpu")
    next(splits.train.batches(8, generator=seeding.generator(0, "training", 1), augment=True))
    assert splits.train._images.data_ptr() == dataset.train_images.ctypes.data  # type: ignore[attr-defined]  # shared, not copied


def test_a_label_outside_the_classes_is_refused_with_its_place():
    with pytest.raises(DataError, match=r"^classes: scikit-learn's digit \d+: label \d is outside \[0, 5\)"):
        digits(classes=5)


def test_grey_images_have_the_same_strides_however_the_data_set_came_about():
    config = resolve(DataConfig(name="digits"))
    loaded = data.load(config)
    for dataset in (loaded, pickle.loads(pickle.dumps(loaded, protocol=5))):
        splits._on_device.cache_clear()  # which tells data sets apart by what is in them
        [(images, _)] = data.split(dataset, config, 0, "cpu").train.sample(4, torch.Generator())
        assert images.stride() == (64, 64, 8, 1)
