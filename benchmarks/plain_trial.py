"""One trial as a script of its own: what a bash loop starts forty times.

for method in …; do for sparsity in …; do for seed in …; do
    python -m benchmarks.plain_trial $method $sparsity $seed 10 20
done; done; done
"""

import sys

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks import plain
from training import models  # the network, so that both sides compute the same


def main(method: str, sparsity: float, seed: int, epochs: int, rounds: int) -> float:
    torch.manual_seed(seed)
    digits = load_digits()
    images = torch.tensor(digits.images[:, None] / 16, dtype=torch.float32).sub_(0.3053).div_(0.3759)
    labels = torch.tensor(digits.target)
    order = torch.tensor(np.random.default_rng(0).permutation(len(labels)))
    train, test = order[360:], order[:360]
    batches = DataLoader(TensorDataset(images[train], labels[train]), batch_size=64, shuffle=True)
    model = models.build("vgg_digits", classes=10, channels=1, size=8)
    masks = prune(model, method, sparsity, images[train], labels[train], rounds)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    plain.block(model, masks)
    for _ in range(epochs):
        plain.epoch(model, optimizer, batches, "cpu")
        schedule.step()
    model.eval()
    with torch.no_grad():
        return float((model(images[test]).argmax(1) == labels[test]).float().mean())


def prune(model: nn.Module, method: str, sparsity: float, images: Tensor, labels: Tensor, rounds: int) -> list[Tensor]:
    total = sum(layer.weight.numel() for layer in plain.layers(model))
    density = 1 - sparsity
    if method == "random":
        return [(torch.rand_like(layer.weight) < density).float() for layer in plain.layers(model)]
    steps = 1 if method == "snip" else rounds
    counts = [max(1, round(total * density ** (step / steps))) for step in range(1, steps + 1)]
    batches = DataLoader(TensorDataset(images, labels), batch_size=128, shuffle=True)
    return plain.force(model, lambda: iter(batches), counts, F.cross_entropy)


if __name__ == "__main__":
    kind, share, number, epochs, rounds = sys.argv[1:]
    print(kind, share, number, main(kind, float(share), int(number), int(epochs), int(rounds)), F.__name__)
