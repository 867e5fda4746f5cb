"""Conversion of images to 8 bits per channel, grey or RGB. Modes without a known range are refused.

As in torchvision's ImageFolder, transparency is dropped, an EXIF orientation is ignored, the first frame of an
animation is used, and CMYK is converted without a colour profile. Unlike there, grey images of more than 8 bits are
scaled and not clipped: 16 bits by 65535, 12-bit TIFF by 4095, floating point by 1. Of 16-bit colour, Pillow keeps the
high byte.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image

_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")
_SIXTEEN_BITS_AS_INTEGERS = ("PNG", "PPM")  # 16-bit formats that Pillow opens in mode "I"
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0  # TIFF
_WITH_ALPHA = ("P", "PA", "LA", "La", "RGBA", "RGBa")


def to_eight_bits(image: Image.Image, channels: int) -> Image.Image:
    """The image in mode "L" for one channel, "RGB" for three.

    Raises:
        ValueError: a mode without a known range, values outside it, several pages, or a shape in transparency only.
    """
    if image.format == "TIFF" and getattr(image, "n_frames", 1) > 1:
        raise ValueError(f"it has {getattr(image, 'n_frames', 1)} pages; save the one to use as a separate file")
    if image.mode in (*_SIXTEEN_BITS, "I", "F"):
        image = Image.fromarray(_scaled(image))
    elif image.mode in _WITH_ALPHA and image.has_transparency_data:
        image = _without_alpha(image)
    return image.convert("L" if channels == 1 else "RGB")


def _scaled(image: Image.Image) -> npt.NDArray[np.uint8]:
    """Scale a grey image of more than 8 bits to uint8 [H, W]."""
    values = np.asarray(image)
    tags = getattr(image, "tag_v2", {}) if image.format == "TIFF" else {}
    if image.mode == "F":
        if not (values.min() >= 0 and values.max() <= 1):
            raise ValueError(
                f"floating point from {values.min():g} to {values.max():g}, but only 0 to 1 is a known range; scale it"
            )
        scaled = np.rint(values.astype(np.float64) * 255)
    else:
        if image.mode == "I" and image.format not in _SIXTEEN_BITS_AS_INTEGERS:
            raise ValueError("signed or 32-bit integers, which have no known range; save it with 8 or 16 unsigned bits")
        most = 4095 if tuple(tags.get(_BITS_PER_SAMPLE, ())) == (12,) else 65535
        if values.min() < 0 or values.max() > most:
            raise ValueError(f"values from {values.min()} to {values.max()}, outside 0 to {most}")
        scaled = (values.astype(np.uint32) * 255 + most // 2) // most
    if image.mode != "F" and tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:  # which Pillow does not invert
        scaled = 255 - scaled
    return scaled.astype(np.uint8)


def _without_alpha(image: Image.Image) -> Image.Image:
    """The image without its transparency; an error if only the transparency shows a shape."""
    *colours, alpha = (band.getextrema() for band in image.convert("RGBA").split())
    if alpha[0] != alpha[1] and all(least == most for least, most in colours):
        raise ValueError("one colour everywhere, with a shape in its transparency only; put it on a background first")
    return image.convert("RGBA").convert("RGB")
