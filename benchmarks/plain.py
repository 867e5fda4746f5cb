"""The plain ways: what a good researcher writes on torch and torchvision when there is no time to make it fast.

Nothing of ``pruning``, ``training`` or ``sweep`` is used here. The algorithm of :func:`force` is that of the FORCE
authors' code as their paper and README tell it: a deep copy of the network each round, masks put on by hooks, a data
loader that is started anew for every batch, tensors in the default layout, a full sort of all scores.
"""

import copy
import itertools
from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from training.vision import torchvision  # torchvision itself, whole on every machine

transforms = torchvision().transforms
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


class Pictures(Dataset):
    """Images as torchvision's CIFAR-10 gives them: PIL, transformed one by one."""

    def __init__(self, pixels: np.ndarray, labels: np.ndarray, augment: bool = True):
        crop = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()] if augment else []
        self.transform = transforms.Compose([*crop, transforms.ToTensor(), transforms.Normalize(MEAN, STD)])
        self.pixels, self.labels = pixels, labels

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.pixels[index])), int(self.labels[index])


def loader(pixels: np.ndarray, labels: np.ndarray, batch_size: int, workers: int = 1) -> DataLoader:
    return DataLoader(Pictures(pixels, labels), batch_size=batch_size, shuffle=True, num_workers=workers)


def layers(model: nn.Module) -> list[nn.Module]:
    return [module for module in model.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]


def force(
    model: nn.Module, batches: Callable[[], Iterator], sparsity: float, rounds: int, counts: list[int]
) -> list[Tensor]:
    """FORCE's masks, by layer. ``batches()`` starts the loader; ``counts`` are the weights to keep, round by round."""
    original = [layer.weight.detach().clone() for layer in layers(model)]
    masks = [torch.ones_like(weight) for weight in original]
    for kept in counts[:rounds]:
        pruned = copy.deepcopy(model)
        hooks = []
        for layer, mask in zip(layers(pruned), masks, strict=True):
            hooks.append(layer.register_forward_pre_hook(_masked(mask)))
        pruned.zero_grad()
        inputs, labels = next(batches())
        F.cross_entropy(pruned(inputs), labels).backward()
        scores = [(weight * layer.weight.grad).abs() for weight, layer in zip(original, layers(pruned), strict=True)]
        for hook in hooks:
            hook.remove()
        every = torch.cat([score.flatten() for score in scores])
        threshold = torch.sort(every, descending=True).values[kept - 1]
        masks = [(score >= threshold).float() for score in scores]
    return masks


def _masked(mask: Tensor) -> Callable[..., None]:
    def hook(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        layer.weight.data.mul_(mask)

    return hook


def step(
    model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor, masks: list[Tensor]
) -> Tensor:
    """One training step of a masked network."""
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        for layer, mask in zip(layers(model), masks, strict=False):
            layer.weight.mul_(mask)
    return loss


def epoch(
    model: nn.Module, optimizer: torch.optim.Optimizer, batches: DataLoader, masks: list[Tensor], device: str
) -> float:
    """One epoch as scripts have it: the loss is asked for after every batch."""
    model.train()
    total = 0.0
    for images, labels in batches:
        total += step(model, optimizer, images.to(device), labels.to(device), masks).item()
    return total / len(batches)


def take(batches: DataLoader, count: int) -> Iterator[tuple[Tensor, Tensor]]:
    return itertools.islice(iter(batches), count)
