"""Stored images to arrays of one size. One thread: on small images a pool only fights over Python's lock."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from training.datasets import DataError
from training.sources.source import Where

_JPEG_START = b"\xff\xd8\xff"


def decode(stored: Sequence[bytes | Path], size: int, channels: int, where: Where) -> npt.NDArray[np.uint8]:
    """Decode image files or their bytes into uint8 [N, size, size, channels].

    Raises:
        DataError: an image that cannot be decoded, and where it is.
    """
    pixels = np.empty((len(stored), size, size, channels), np.uint8)
    for row, item in enumerate(stored):
        try:
            with Image.open(io.BytesIO(item) if isinstance(item, bytes) else item) as image:
                pixels[row] = to_array(image, size, channels)
        # Pillow's decoders raise a wide range of types on broken files
        except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
            raise DataError(
                f"path: {where(row)}: this image cannot be decoded ({error}); replace it or leave it out"
            ) from error
    return pixels


def to_array(image: Image.Image, size: int, channels: int) -> npt.NDArray[np.uint8]:
    """Scale an image's shorter side to `size`, cut out the centre: uint8 [size, size, channels]."""
    image = image.convert("L" if channels == 1 else "RGB")
    if image.size != (size, size):
        scale = size / min(image.size)
        width, height = (max(size, round(side * scale)) for side in image.size)
        left, top = (width - size) // 2, (height - size) // 2
        image = image.resize((width, height), Image.Resampling.BILINEAR)
        image = image.crop((left, top, left + size, top + size))
    return np.asarray(image).reshape(size, size, channels)


def resize(pixels: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    """Bring decoded images, uint8 [N, H, W, C], to [N, size, size, C] as `to_array` does."""
    channels = pixels.shape[-1]
    if pixels.shape[1:3] == (size, size):
        return pixels
    images = (Image.fromarray(array.squeeze(-1) if channels == 1 else array) for array in pixels)
    return np.stack([to_array(image, size, channels) for image in images])


def is_jpeg(stored: bytes | Path) -> bool:
    """Whether an image is JPEG-compressed, by its first bytes."""
    if isinstance(stored, Path):
        with stored.open("rb") as file:
            stored = file.read(len(_JPEG_START))
    return stored.startswith(_JPEG_START)
