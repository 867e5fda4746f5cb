"""Residual networks for small images (He et al., CVPR 2016, arXiv:1512.03385), with torchvision's parameter names."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.vision import torchvision


class Block(nn.Module):
    """A residual block: the sum of its convolutions and of a shortcut, then ReLU.

    Args:
        inputs: input channels.
        filters: output channels of all convolutions but the last, which has ``expansion`` times as many.
        stride: 2 halves the image.
        shortcut: applied to the input before the sum; None: identity.
    """

    expansion: int
    kernels: tuple[int, ...]  # kernel side of each convolution
    strided: int  # number of the convolution that has the stride, from 1

    def __init__(self, inputs: int, filters: int, stride: int = 1, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        for number, kernel in enumerate(self.kernels, start=1):
            outputs = filters * (self.expansion if number == len(self.kernels) else 1)
            step = stride if number == self.strided else 1
            setattr(self, f"conv{number}", nn.Conv2d(inputs, outputs, kernel, step, kernel // 2, bias=False))
            setattr(self, f"bn{number}", nn.BatchNorm2d(outputs))
            inputs = outputs
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut

    def forward(self, features: Tensor) -> Tensor:
        """[B, inputs, H, W] to [B, filters · expansion, H / stride, W / stride]."""
        last, residual = len(self.kernels), features
        for number in range(1, last + 1):
            residual = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(residual))
            residual = self.relu(residual) if number < last else residual
        residual += features if self.downsample is None else self.downsample(features)
        return self.relu(residual)


class BasicBlock(Block):
    """Two 3x3 convolutions."""

    expansion, kernels, strided = 1, (3, 3), 1


class Bottleneck(Block):
    """1x1, 3x3 and 1x1 with four times the filters; the stride is in the 3x3 one, as in torchvision (v1.5)."""

    expansion, kernels, strided = 4, (1, 3, 1), 2


class SmallImageResNet(nn.Module):
    """torchvision's ResNet with any number of stages, and a stem of one 3x3 convolution without max-pool.

    Parameters have torchvision's names (conv1, layer1.0.conv2, layer2.0.downsample.0, fc), in its order.

    Args:
        block: BasicBlock or Bottleneck.
        blocks: blocks in each stage.
        filters: filters of each stage's 3x3 convolutions; all stages but the first halve the image.
    """

    def __init__(
        self,
        block: type[Block],
        blocks: Sequence[int],
        filters: Sequence[int],
        classes: int,
        channels: int,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, filters[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters[0])
        self.relu = nn.ReLU(inplace=True)
        self.stages: list[str] = []
        inputs = filters[0]
        for number, (count, width) in enumerate(zip(blocks, filters, strict=True), start=1):
            self.stages.append(f"layer{number}")
            setattr(self, f"layer{number}", _stage(block, inputs, width, count, stride=1 if number == 1 else 2))
            inputs = width * block.expansion
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inputs, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, channels, H, W] to logits [B, classes]."""
        features = self.relu(self.bn1(self.conv1(images)))
        for stage in self.stages:
            features = getattr(self, stage)(features)
        return self.fc(torch.flatten(self.avgpool(features), 1))


def _stage(block: type[Block], inputs: int, filters: int, blocks: int, stride: int) -> nn.Sequential:
    outputs = filters * block.expansion
    shortcut = None
    if stride != 1 or inputs != outputs:
        convolution = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
        shortcut = nn.Sequential(convolution, nn.BatchNorm2d(outputs))
    first = block(inputs, filters, stride, shortcut)
    return nn.Sequential(first, *(block(outputs, filters) for _ in range(blocks - 1)))


def _scaled(filters: Sequence[int], width: float) -> list[int]:
    return [max(1, round(count * width)) for count in filters]


_IMAGENET_FILTERS = (64, 128, 256, 512)
_CIFAR_FILTERS = (16, 32, 64)


def resnet18(*, classes: int, channels: int, width: float = 1.0) -> nn.Module:
    """ResNet-18 with a small-image stem: 11,164,352 prunable weights at 10 classes."""
    return SmallImageResNet(BasicBlock, (2, 2, 2, 2), _scaled(_IMAGENET_FILTERS, width), classes, channels)


def resnet34(*, classes: int, channels: int, width: float = 1.0) -> nn.Module:
    """ResNet-34 with a small-image stem."""
    return SmallImageResNet(BasicBlock, (3, 4, 6, 3), _scaled(_IMAGENET_FILTERS, width), classes, channels)


def resnet50(*, classes: int, channels: int, width: float = 1.0) -> nn.Module:
    """ResNet-50 with a small-image stem, as in the FORCE paper: 23,467,712 prunable weights at 10 classes."""
    return SmallImageResNet(Bottleneck, (3, 4, 6, 3), _scaled(_IMAGENET_FILTERS, width), classes, channels)


def resnet20(*, classes: int, channels: int, width: float = 1.0) -> nn.Module:
    """He et al.'s ResNet-20 for CIFAR, with 1x1 convolutions for shortcuts: small enough for a CPU."""
    return SmallImageResNet(BasicBlock, (3, 3, 3), _scaled(_CIFAR_FILTERS, width), classes, channels)


def resnet32(*, classes: int, channels: int, width: float = 1.0) -> nn.Module:
    """He et al.'s ResNet-32 for CIFAR, with 1x1 convolutions for shortcuts."""
    return SmallImageResNet(BasicBlock, (5, 5, 5), _scaled(_CIFAR_FILTERS, width), classes, channels)


def resnet56(*, classes: int, channels: int, width: float = 1.0) -> nn.Module:
    """He et al.'s ResNet-56 for CIFAR, with 1x1 convolutions for shortcuts."""
    return SmallImageResNet(BasicBlock, (9, 9, 9), _scaled(_CIFAR_FILTERS, width), classes, channels)


def wide_resnet32(*, classes: int, channels: int, width: float = 1.0) -> nn.Module:
    """ResNet-32 for CIFAR with twice the filters, as in the GraSP paper (arXiv:2002.07376)."""
    return resnet32(classes=classes, channels=channels, width=2 * width)


def imagenet_resnet50(*, classes: int, channels: int) -> nn.Module:
    """torchvision's ResNet-50, for images of 224x224."""
    if channels != 3:
        raise ValueError(f"architecture imagenet_resnet50 needs colour images, not images of {channels} channels")
    return torchvision().models.resnet50(num_classes=classes)
