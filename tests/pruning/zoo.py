"""Small networks of many kinds: torchvision's, recurrent, attention, a U-Net, shared and zero parts."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from training.vision import torchvision

from .networks import Repeated, Residual, TwoNames

CLASSES = 4


class Recurrent(nn.Module):
    """An LSTM over the rows of an image, between two linear layers."""

    def __init__(self, width: int = 12):
        super().__init__()
        self.rows = nn.Linear(96, width)
        self.recurrent = nn.LSTM(width, width, batch_first=True)
        self.classifier = nn.Linear(width, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        rows = torch.tanh(self.rows(images.transpose(1, 2).flatten(2)))
        return self.classifier(self.recurrent(rows)[0][:, -1])


class Attention(nn.Module):
    """PyTorch's encoder over the patches of an image, pooled by the attention of a learned query."""

    def __init__(self, width: int = 16):
        super().__init__()
        self.patches = nn.Conv2d(3, width, 8, stride=8)
        layer = nn.TransformerEncoderLayer(width, 2, 2 * width, batch_first=True, dropout=0.1)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.query = nn.Parameter(torch.randn(1, 1, width))
        self.pool = nn.MultiheadAttention(width, 2, batch_first=True)
        self.classifier = nn.Linear(width, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.encoder(self.patches(images).flatten(2).transpose(1, 2))
        return self.classifier(self.pool(self.query.expand(len(images), -1, -1), tokens, tokens)[0][:, 0])


class UNet(nn.Module):
    """Down, across and up again, with a concatenation; its class scores are averaged over positions."""

    def __init__(self, width: int = 8):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        self.across = nn.Sequential(
            nn.MaxPool2d(2), nn.Conv2d(width, 2 * width, 3, padding=1), nn.BatchNorm2d(2 * width), nn.ReLU()
        )
        self.up = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.last = nn.Sequential(nn.Conv2d(2 * width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        self.scores = nn.Conv2d(width, CLASSES, 1)

    def forward(self, images: Tensor) -> Tensor:
        fine = self.down(images)
        return self.scores(self.last(torch.cat([fine, self.up(self.across(fine))], 1))).mean((2, 3))


def _mobilenet() -> nn.Module:
    return torchvision().models.mobilenet_v3_small(num_classes=CLASSES, width_mult=0.25)


def _densenet() -> nn.Module:
    return torchvision().models.DenseNet(8, (2, 2, 2), 8, num_classes=CLASSES)


def _densenet121() -> nn.Module:
    return torchvision().models.densenet121(num_classes=CLASSES)


def _googlenet() -> nn.Module:
    return torchvision().models.googlenet(weights=None, num_classes=CLASSES, init_weights=False)


def _vit() -> nn.Module:
    return torchvision().models.VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=CLASSES)


def _swin() -> nn.Module:
    return torchvision().models.SwinTransformer([4, 4], 8, [1, 1], [1, 2], [4, 4], num_classes=CLASSES)


class ZeroBranches(Residual):
    """Residual branches that start at zero: by the weight of their last BatchNorm, and by a scale."""

    def __init__(self) -> None:
        super().__init__(classes=CLASSES)
        nn.init.zeros_(self.same_norm.weight)
        self.scale = nn.Parameter(torch.zeros(1))

    def forward(self, images: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.stem(images)))
        x = torch.relu(self.scale * self.down_norm(self.down(x)) + self.shortcut(x))
        x = torch.relu(self.same_norm(self.same(x)) + x)
        return self.classifier(x.mean((2, 3)))


ZOO: dict[str, Callable[[], Any]] = {
    "mobilenet_v3_small": _mobilenet,
    "densenet": _densenet,
    "densenet121": _densenet121,
    "googlenet": _googlenet,
    "vit": _vit,
    "swin": _swin,
    "lstm": Recurrent,
    "attention": Attention,
    "unet": UNet,
    "one block three times": Repeated,
    "two names": TwoNames,
    "zero branches": ZeroBranches,
}


def network(name: str) -> nn.Module:
    """One of the networks, with fixed initial weights."""
    torch.manual_seed(0)
    made: nn.Module = ZOO[name]()
    return made


def images(size: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Images 3×32×32 and labels."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(size, 3, 32, 32, generator=generator), torch.arange(size) % CLASSES
