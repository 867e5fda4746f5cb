"""VGG networks with batch normalisation (Simonyan & Zisserman, ICLR 2015, arXiv:1409.1556), for small images.

As in papers on pruning at initialization: convolutions without bias, one Linear layer at the end.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.vision import torchvision


class SmallImageVGG(nn.Module):
    """Stages of 3x3 convolutions with a 2x2 max-pool between them, a global average pool, one Linear layer.

    Args:
        convolutions: convolutions in each stage.
        filters: output channels of each stage's convolutions.
        size: side of the images in pixels, at least 2 ** (stages - 1).
    """

    def __init__(
        self, convolutions: Sequence[int], filters: Sequence[int], classes: int, channels: int, size: int
    ) -> None:
        super().__init__()
        smallest = 2 ** (len(convolutions) - 1)
        if size < smallest:
            raise ValueError(
                f"this VGG halves its images {len(convolutions) - 1} times and needs at least"
                f" {smallest}x{smallest}, not {size}x{size}; take vgg_digits or larger images"
            )
        layers: list[nn.Module] = []
        inputs = channels
        for stage, (count, outputs) in enumerate(zip(convolutions, filters, strict=True)):
            if stage:
                layers.append(nn.MaxPool2d(2))
            for _ in range(count):
                layers.append(_convolution(inputs, outputs))
                inputs = outputs
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(inputs, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, channels, size, size] to logits [B, classes]."""
        return self.classifier(torch.flatten(self.avgpool(self.features(images)), 1))


def _convolution(inputs: int, outputs: int) -> nn.Module:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def _vgg(convolutions: Sequence[int], classes: int, channels: int, size: int, width: float) -> nn.Module:
    filters = [max(1, round(count * width)) for count in (64, 128, 256, 512, 512)]
    return SmallImageVGG(convolutions, filters, classes, channels, size)


def vgg11(*, classes: int, channels: int, size: int, width: float = 1.0) -> nn.Module:
    """VGG-11-BN for small images."""
    return _vgg((1, 1, 2, 2, 2), classes, channels, size, width)


def vgg16(*, classes: int, channels: int, size: int, width: float = 1.0) -> nn.Module:
    """VGG-16-BN for small images: 14,715,584 prunable weights at 10 classes."""
    return _vgg((2, 2, 3, 3, 3), classes, channels, size, width)


def vgg19(*, classes: int, channels: int, size: int, width: float = 1.0) -> nn.Module:
    """VGG-19-BN for small images, as in the FORCE paper: 20,024,000 prunable weights at 10 classes."""
    return _vgg((2, 2, 4, 4, 4), classes, channels, size, width)


def vgg_digits(*, classes: int, channels: int, size: int, width: int = 32, depth: int = 9) -> nn.Module:
    """A small VGG for 8x8 digits: `depth` convolutions in stages of width, 2 width and 4 width filters."""
    if depth < 3:
        raise ValueError(f"architecture vgg_digits needs a depth of at least 3, not {depth}")
    convolutions = [(depth + later) // 3 for later in range(3)]  # later stages get the remainder
    return SmallImageVGG(convolutions, (width, 2 * width, 4 * width), classes, channels, size)


def imagenet_vgg19(*, classes: int, channels: int) -> nn.Module:
    """torchvision's VGG-19-BN with its three Linear layers, for images of 224x224."""
    if channels != 3:
        raise ValueError(f"architecture imagenet_vgg19 needs colour images, not images of {channels} channels")
    return torchvision().models.vgg19_bn(num_classes=classes)
