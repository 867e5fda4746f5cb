"""Crop and flip a whole batch at once, where the batch lies.

The draws are made on the CPU, one for each image and not for each batch: so every device and every batch size
gives an image the same crop, and one copy an epoch takes them to the device.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Draws(NamedTuple):
    """One crop and one flip for each of N images."""

    corners: Tensor  # int64 [N, 2]: top and left corner of the crop in the padded image
    flips: Tensor  # bool [N]

    def to(self, device: torch.device) -> "Draws":
        """The same draws on another device."""
        return Draws(to_device(self.corners, device), to_device(self.flips, device))

    def rows(self, start: int, stop: int) -> "Draws":
        """The draws of some of the images."""
        return Draws(self.corners[start:stop], self.flips[start:stop])


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A CPU tensor on another device. By way of pinned memory, so that the host need not wait for the GPU."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def draw(count: int, generator: torch.Generator, *, crop_padding: int, flip: bool) -> Draws:
    """Draw crops and flips for `count` images from a CPU generator."""
    corners = torch.randint(0, 2 * crop_padding + 1, (count, 2), generator=generator)
    flips = torch.rand(count, generator=generator) < (0.5 if flip else 0.0)
    return Draws(corners, flips)


def apply(images: Tensor, draws: Draws, *, crop_padding: int) -> Tensor:
    """Pad each image with zeros, cut its crop out of that, mirror those whose flip is drawn.

    Args:
        images: uint8 [B, C, H, W]; zeros are black, as in torchvision's RandomCrop(H, padding=crop_padding)
            before normalisation.
        draws: of these B images, on their device.
        crop_padding: zeros on each side, as it was drawn with.

    Returns:
        uint8 [B, C, H, W].
    """
    if crop_padding:
        height, width = images.shape[-2:]
        padded = F.pad(images, [crop_padding] * 4)
        windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # a view: [B, C, top, left, H, W]
        batch = torch.arange(len(images), device=images.device)
        images = windows[batch, :, draws.corners[:, 0], draws.corners[:, 1]]
    return torch.where(draws.flips[:, None, None, None], images.flip(-1), images)
