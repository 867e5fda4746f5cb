"""Images of every mode, from real files, in memory and streamed: right, or refused by name."""

import io
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from training import data, streaming
from training.data import DataConfig, DataError, resolve
from training.sources.colour import to_eight_bits

from .conftest import loaded

RAMP = np.linspace(0, 65535, 256).round().astype(np.uint16).reshape(16, 16)


def save(path: Path, pixels: np.ndarray | Image.Image, **settings) -> Path:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(path, **settings)
    return path


def in_memory(file: Path, channels: int = 3) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(to_eight_bits(image, channels))


def streamed(file: Path) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(streaming._decoded(image, 1.0))


BOTH = pytest.mark.parametrize("read", [in_memory, streamed])
DEEP = pytest.mark.parametrize("ending", ["png", "tif", "pgm", "jp2"])


@BOTH
@DEEP
def test_sixteen_bit_grey_is_scaled_and_not_clipped(tmp_path, read, ending):
    options = {"irreversible": False} if ending == "jp2" else {}
    constant = read(save(tmp_path / f"a.{ending}", np.full((4, 4), 1000, np.uint16), **options))
    assert (constant == round(1000 / 257)).all()
    ramp = read(save(tmp_path / f"b.{ending}", RAMP, **options))
    assert np.array_equal(ramp[..., 0], np.rint(RAMP / 257))
    assert ramp.mean() == pytest.approx(127.5, abs=0.5)


def test_every_sixteen_bit_value_is_rounded_rightly(tmp_path):
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    assert np.array_equal(in_memory(save(tmp_path / "a.png", values), channels=1), np.rint(values / 257.0))


@BOTH
def test_sixteen_bit_in_either_order_of_bytes_and_either_sense(tmp_path, read):
    save(tmp_path / "little.tif", RAMP)
    Image.frombytes("I;16B", (16, 16), RAMP.astype(">u2").tobytes()).save(tmp_path / "big.tif")
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    directory[262] = 0  # white is zero
    save(tmp_path / "inverted.tif", RAMP, tiffinfo=directory)
    little, big, inverted = (read(tmp_path / f"{name}.tif") for name in ("little", "big", "inverted"))
    assert np.array_equal(little, big)
    with Image.open(tmp_path / "inverted.tif") as image:
        assert image.tag_v2[262] == 0  # type: ignore[attr-defined]
    assert np.array_equal(inverted, 255 - little)


@BOTH
def test_a_twelve_bit_tiff_is_scaled_by_4095(tmp_path, read):
    tags = [(256, 2), (257, 1), (258, 12), (259, 1), (262, 1), (273, 8), (277, 1), (278, 1), (279, 3)]
    entries = b"".join(struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in tags)
    pixels = bytes([0xFF, 0xF8, 0x00]) + b"\0"  # 4095 and 2048
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    (tmp_path / "a.tif").write_bytes(b"II*\0" + struct.pack("<I", 12) + pixels + directory)
    assert read(tmp_path / "a.tif")[0, :, 0].tolist() == [255, round(2048 / 4095 * 255)]


@BOTH
def test_a_floating_point_image_from_0_to_1_is_scaled(tmp_path, read):
    values = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    assert np.array_equal(read(save(tmp_path / "a.tif", values))[..., 0], np.rint(values * 255))


@BOTH
@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.full((4, 4), 200.0, np.float32), "floating point from 200 to 200, but only 0 to 1"),
        (np.full((4, 4), -0.5, np.float32), "floating point from -0.5"),
        (np.full((4, 4), np.nan, np.float32), "floating point from nan"),
        (np.full((4, 4), 70000, np.int32), "signed or 32-bit integers"),
        (np.full((4, 4), 7, np.int32), "signed or 32-bit integers"),
    ],
)
def test_what_has_no_known_range_is_refused_by_name(tmp_path, read, pixels, message):
    file = save(tmp_path / "a.tif", pixels)
    with pytest.raises(ValueError, match=message):
        read(file)


def test_a_refused_image_is_named_in_memory_and_streamed(tmp_path):
    for folder in ("train/cat", "train/dog", "val/cat", "val/dog"):
        (tmp_path / folder).mkdir(parents=True)
        save(tmp_path / folder / "0.tif", np.full((8, 8), 0.5 if folder != "val/dog" else 2.0, np.float32))
    with pytest.raises(DataError, match=r"^path: .*val/dog/0\.tif: .* \(floating point from 2 to 2, .*\)"):
        loaded(DataConfig("image_folder", path=str(tmp_path), classes=2, image_size=8))
    config = resolve(DataConfig("imagenet", path=str(tmp_path), classes=2, image_size=8, workers=0))
    with pytest.raises(DataError, match=r"^path: .*val/dog/0\.tif: .* \(floating point from 2 to 2, .*\)"):
        list(data.split(data.load(config), config, 0, "cpu").test.batches(2))


@BOTH
def test_a_file_of_several_pages_is_refused_and_an_animation_is_its_first_frame(tmp_path, read):
    frames = [Image.new("L", (4, 4), value) for value in (10, 20)]
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match="2 pages"):
        read(tmp_path / "a.tif")
    for ending in ("gif", "webp", "png"):
        options = {"lossless": True} if ending == "webp" else {}
        frames[0].save(tmp_path / f"a.{ending}", save_all=True, append_images=frames[1:], **options)
        assert (read(tmp_path / f"a.{ending}") == 10).all(), ending


def palette_with_transparency() -> Image.Image:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 90, 80, 70])
    image.putpixel((0, 0), 0)
    image.info["transparency"] = bytes([0, 128])
    return image


@BOTH
@pytest.mark.parametrize(
    ("image", "colour"),
    [
        (Image.new("1", (4, 4), 1), (255, 255, 255)),
        (Image.new("L", (4, 4), 9), (9, 9, 9)),
        (Image.new("LA", (4, 4), (9, 100)), (9, 9, 9)),
        (Image.new("RGBA", (4, 4), (1, 2, 3, 100)), (1, 2, 3)),
        (palette_with_transparency(), (90, 80, 70)),
    ],
    ids=["1 bit", "grey", "grey with alpha", "colour with alpha", "palette with transparency"],
)
def test_other_modes_become_colour_without_a_warning(tmp_path, read, image, colour):
    file = save(tmp_path / "a.png", image)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tuple(read(file)[-1, -1]) == colour


@BOTH
def test_cmyk_becomes_colour(tmp_path, read):
    file = save(tmp_path / "a.jpg", Image.new("CMYK", (8, 8), (0, 0, 0, 155)), quality=100)
    assert np.abs(read(file).astype(int) - 100).max() <= 1


@BOTH
def test_a_shape_in_the_transparency_alone_is_refused(tmp_path, read):
    alpha = Image.fromarray((np.eye(8) * 255).astype(np.uint8))
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    image.putalpha(alpha)
    file = save(tmp_path / "a.png", image)
    with pytest.raises(ValueError, match="in its transparency only"):
        read(file)


def test_an_orientation_in_exif_is_ignored_as_torchvision_does(tmp_path):
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:4] = 200
    exif = Image.Exif()
    exif[274] = 3  # upside down
    file = save(tmp_path / "a.png", pixels, exif=exif)
    assert np.array_equal(in_memory(file), pixels)


def test_colour_becomes_grey_for_a_grey_set(tmp_path):
    file = save(tmp_path / "a.png", Image.new("RGB", (4, 4), (255, 0, 0)))
    assert (in_memory(file, channels=1) == 76).all()  # 0.299 of 255, as ITU-R 601 has it


def test_deep_images_in_parquet_are_scaled_too(tmp_path, write_parquet):
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8), 1000, np.uint16)).save(buffer, "PNG")
    for part in ("train", "test"):
        write_parquet(tmp_path / f"{part}.parquet", [buffer.getvalue()], [0])
    dataset = loaded(DataConfig("parquet", path=str(tmp_path), classes=2, image_size=8))
    assert (dataset.train_images == 4).all()
