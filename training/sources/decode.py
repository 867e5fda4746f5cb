"""Decoding stored images to arrays of one size, in one thread: on small images, threads wait for Python's lock."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from training.datasets import DataError
from training.fingerprint import PartDigest
from training.sources.colour import to_eight_bits
from training.sources.interface import Images, Where

_JPEG_START = b"\xff\xd8\xff"
# Pillow's decoders raise a wide range of types on broken files
DECODING_ERRORS = (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError)


def decode(
    stored: Sequence[bytes | Path], labels: npt.NDArray[np.int64], size: int, channels: int, where: Where
) -> Images:
    """Read, fingerprint and decode image files or their bytes into uint8 [N, size, size, channels].

    Raises:
        DataError: an image cannot be decoded; the message says where it is.
    """
    pixels = np.empty((len(stored), size, size, channels), np.uint8)
    digest, is_jpeg = PartDigest(), False
    for row, item in enumerate(stored):
        try:
            encoded = item if isinstance(item, bytes) else item.read_bytes()
            with Image.open(io.BytesIO(encoded)) as image:
                pixels[row] = to_array(image, size, channels)
        except DECODING_ERRORS as error:
            raise DataError(
                f"path: {where(row)}: this image cannot be decoded ({reason(error)}); replace it or leave it out"
            ) from error
        digest.add(encoded, labels[row])
        is_jpeg = is_jpeg or encoded.startswith(_JPEG_START)
    return Images(pixels, labels, where, jpeg=is_jpeg, digest=digest.value())


def reason(error: Exception) -> str:
    """Why an image cannot be decoded, without the memory address in Pillow's message for unknown formats."""
    return "its format is unknown" if isinstance(error, UnidentifiedImageError) else str(error)


def to_array(image: Image.Image, size: int, channels: int) -> npt.NDArray[np.uint8]:
    """Scale an image's shorter side to `size` and crop the centre: uint8 [size, size, channels]."""
    image = to_eight_bits(image, channels)
    if image.size != (size, size):
        scale = size / min(image.size)
        width, height = (max(size, round(side * scale)) for side in image.size)
        left, top = (width - size) // 2, (height - size) // 2
        image = image.resize((width, height), Image.Resampling.BILINEAR)
        image = image.crop((left, top, left + size, top + size))
    return np.asarray(image).reshape(size, size, channels)


def resize(pixels: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    """Resize decoded images, uint8 [N, H, W, C], to [N, size, size, C] as `to_array` does."""
    channels = pixels.shape[-1]
    if pixels.shape[1:3] == (size, size):
        return pixels
    images = (Image.fromarray(array.squeeze(-1) if channels == 1 else array) for array in pixels)
    return np.stack([to_array(image, size, channels) for image in images])
