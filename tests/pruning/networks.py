"""Small networks and problems whose scores can be computed or checked by hand."""

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

import pruning
from pruning.masks import Scores
from pruning.problem import Batch, Loss, Problem


def linear(*rows: list[float]) -> nn.Sequential:
    """One linear layer with these weights and no bias."""
    layer = nn.Linear(len(rows[0]), len(rows), bias=False)
    layer.weight.data = torch.tensor(rows)
    return nn.Sequential(layer)


def perceptron(*widths: int, seed: int = 0, bias: bool = True, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Linear layers from the first width to the last, an activation between them."""
    torch.manual_seed(seed)
    layers = [(nn.Linear(inputs, outputs, bias), activation()) for inputs, outputs in itertools.pairwise(widths)]
    return nn.Sequential(*list(itertools.chain(*layers))[:-1])


def convolutional(seed: int = 0, width: int = 8) -> nn.Sequential:
    """Convolutions, BatchNorm, max-pooling, dropout, biases and a classifier."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 3, padding=1),
        nn.BatchNorm2d(2 * width),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2 * width, 4),
    )


class Residual(nn.Module):
    """A stem, a block with a 1×1 shortcut and stride, one with an identity shortcut, a classifier; BatchNorm."""

    def __init__(self, width: int = 8, classes: int = 4):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.down = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1, bias=False)
        self.down_norm = nn.BatchNorm2d(2 * width)
        self.shortcut = nn.Conv2d(width, 2 * width, 1, stride=2, bias=False)
        self.same = nn.Conv2d(2 * width, 2 * width, 3, padding=1, bias=False)
        self.same_norm = nn.BatchNorm2d(2 * width)
        self.classifier = nn.Linear(2 * width, classes)

    def forward(self, images: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.stem(images)))
        x = torch.relu(self.down_norm(self.down(x)) + self.shortcut(x))
        x = torch.relu(self.same_norm(self.same(x)) + x)
        return self.classifier(x.mean((2, 3)))


def residual(seed: int = 0, width: int = 8) -> Residual:
    """A small residual network."""
    torch.manual_seed(seed)
    return Residual(width)


def batch(seed: int = 0, size: int = 16, classes: int = 4) -> tuple[Tensor, Tensor]:
    """Images 3×8×8 and labels."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(size, 3, 8, 8, generator=generator)
    return images, torch.randint(0, classes, (size,), generator=generator)


def squared(outputs: Tensor, targets: Tensor) -> Tensor:
    """½ mean‖y − t‖²: with gradients and Hessians that are easy to compute by hand."""
    return 0.5 * (outputs - targets).square().sum(1).mean()


def problem(
    model: nn.Module,
    batches: Sequence[Batch] = (),
    loss: Loss = squared,
    seed: int = 0,
    shape: Sequence[int] | None = None,
) -> Problem:
    """A problem as ``prune`` passes it to a method: in round one, with the model in its current mode."""
    made = Problem(model, loss, torch.Generator().manual_seed(seed), shape)
    made.batches, made.round = batches, 1
    return made


def score(name: str, made: Problem, **options: Any) -> Scores:
    """The scores of a registered method."""
    return pruning.find(name).score(made, **options)


class TwoNames(nn.Module):
    """A convolution and its BatchNorm that are attributes and parts of a Sequential: two names each."""

    def __init__(self, width: int = 8, classes: int = 4):
        super().__init__()
        self.first = nn.Conv2d(3, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.body = nn.Sequential(self.first, self.norm, nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.ReLU())
        self.classifier = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.body(images).mean((2, 3)))


class Repeated(nn.Module):
    """One block three times in a list: a network that is recurrent in depth."""

    def __init__(self, width: int = 8, classes: int = 4):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        block = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.blocks = nn.ModuleList([block] * 3)
        self.classifier = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        x = self.stem(images)
        for block in self.blocks:
            x = block(x)
        return self.classifier(x.mean((2, 3)))


class Tied(nn.Module):
    """Two linear layers, each with a bias of its own, that share one weight; BatchNorm between them."""

    def __init__(self, width: int = 12, classes: int = 4):
        super().__init__()
        self.stem = nn.Linear(192, width)
        self.first, self.norm, self.second = nn.Linear(width, width), nn.BatchNorm1d(width), nn.Linear(width, width)
        self.second.weight = self.first.weight
        self.classifier = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        x = torch.relu(self.stem(images.flatten(1)))
        x = torch.relu(self.norm(self.first(x)))
        return self.classifier(torch.relu(self.second(x)))


SHARING: dict[str, type[nn.Module]] = {kind.__name__: kind for kind in (TwoNames, Repeated, Tied)}


def sharing(kind: str, seed: int = 0) -> nn.Module:
    """A network of :data:`SHARING`."""
    torch.manual_seed(seed)
    return SHARING[kind]()


class Caching(nn.Module):
    """Keeps tensors as plain attributes: a table by the type of its inputs, its last activation, all it has seen."""

    def __init__(self, width: int = 8, classes: int = 4):
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width)
        self.second, self.classifier = nn.Conv2d(width, width, 3, padding=1), nn.Linear(width, classes)
        self.table: Tensor | None = None
        self.last: Tensor | None = None
        self.seen: list[Tensor] = []
        self.by_shape: dict[Any, Tensor] = {}
        self.sums = torch.zeros(width)
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("later", None)

    def forward(self, images: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.first(images)))
        if self.table is None:
            self.table = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
        x = torch.einsum("bchw,cd->bdhw", x, self.table)
        self.last = torch.relu(self.second(x))
        self.seen.append(self.last)
        self.by_shape[x.shape] = x
        self.sums += self.last.detach().sum((0, 2, 3)).to(self.sums)
        self.calls += 1
        self.later = self.last.detach()
        return self.classifier(self.last.mean((2, 3)))


def whole_state(model: nn.Module) -> list[Any]:
    """A model's objects and the bits of all its tensors, to be compared by ``==``."""
    found: list[Any] = []

    def note(value: Any) -> None:
        if isinstance(value, Tensor):
            bits = value.detach().clone().contiguous().reshape(-1).view(torch.uint8).tolist()
            found.append((id(value), type(value), value.dtype, value.requires_grad, value.stride(), bits))
        elif isinstance(value, dict):
            found.append((id(value), list(map(str, value))))
            for part in value.values():
                note(part)
        elif isinstance(value, (list, tuple)):
            found.append((id(value), len(value)))
            for part in value:
                note(part)
        else:
            found.append((id(value), str(value)))

    for _, module in model.named_modules(remove_duplicate=False):
        note(vars(module))
    return found
