"""The plain ways: what a good researcher writes on torch and torchvision when there is no time to make it fast.

Nothing of ``pruning``, ``training`` or ``sweep`` is used here. :func:`force` and :func:`epoch` do what the FORCE
authors' program (naver/force) does, in code of our own:

- a round copies the network and sets the removed weights to zero in the copy, without hooks, so that removed weights
  have gradients; it starts the data loader, of one worker, for each batch; its loss is ``nll_loss`` on raw logits; the
  gradients are added up and divided by the number of batches; the threshold is the last of a sorted ``topk`` of all
  scores together; the share of kept weights is asked for;
- training sets the removed weights to zero once and blocks their gradients by hooks; the loss is asked for after
  every batch.

Tensors have the default layout. What their program writes for TensorBoard is left out.
"""

import copy
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from training.vision import torchvision  # torchvision itself, whole on every machine

transforms = torchvision().transforms
Loss = Callable[[Tensor, Tensor], Tensor]
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


def loader(
    pixels: np.ndarray, labels: np.ndarray, batch_size: int, workers: int = 1, persistent: bool = False
) -> DataLoader:
    pictures = Pictures(pixels, labels)
    return DataLoader(pictures, batch_size, shuffle=True, num_workers=workers, persistent_workers=persistent)


def layers(model: nn.Module) -> list[nn.Conv2d | nn.Linear]:
    return [module for module in model.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]


def force(
    model: nn.Module, batches: Callable[[], Iterator], counts: list[int], loss: Loss = F.nll_loss
) -> list[Tensor]:
    """FORCE's masks, by layer.

    Args:
        model: the dense network; it is not changed.
        batches: starts the loader.
        counts: weights to keep, round by round.
        loss: of logits and labels.
    """
    pruned = copy.deepcopy(model)
    original = [layer.weight.detach() for layer in layers(pruned)]
    masks: list[Tensor] = []
    for kept in counts:
        gradients = average_gradients(pruned, batches, loss)
        scores = [(weight * gradient).abs() for weight, gradient in zip(original, gradients, strict=True)]
        highest, _ = torch.cat([score.flatten() for score in scores]).topk(kept, sorted=True)
        masks = [(score >= highest[-1]).float() for score in scores]
        pruned = copy.deepcopy(model)
        zero(pruned, masks)
        float(torch.cat([mask.flatten() for mask in masks]).mean())  # which they print
    return masks


def average_gradients(model: nn.Module, batches: Callable[[], Iterator], loss: Loss, count: int = 1) -> list[Tensor]:
    totals: list[Any] = [0] * len(layers(model))
    for _ in range(count):
        inputs, labels = next(batches())
        model.zero_grad()
        loss(model(inputs), labels).backward()
        totals = [total + layer.weight.grad for total, layer in zip(totals, layers(model), strict=True)]
    return [total / count for total in totals]


def zero(model: nn.Module, masks: list[Tensor]) -> None:
    """Set the removed weights to zero; their gradients are as they were."""
    for layer, mask in zip(layers(model), masks, strict=True):
        layer.weight.data[mask == 0] = 0


def block(model: nn.Module, masks: list[Tensor]) -> None:
    """Set the removed weights to zero and leave them so: their gradients are blocked by hooks."""
    zero(model, masks)
    for layer, mask in zip(layers(model), masks, strict=True):
        layer.weight.register_hook(_times(mask))


def _times(mask: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda gradient: gradient * mask


def epoch(model: nn.Module, optimizer: torch.optim.Optimizer, batches: Iterable, device: str) -> float:
    """One epoch of a network, masked by :func:`block` where it is: the mean loss."""
    model.train()
    total, count = 0.0, 0
    for images, labels in batches:
        images, labels = images.to(device), labels.to(device)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        total, count = total + loss.item(), count + 1
        optimizer.step()
    return total / count


def take(batches: Iterable, count: int) -> Iterator[tuple[Tensor, Tensor]]:
    return itertools.islice(iter(batches), count)
