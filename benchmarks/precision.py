"""What bf16 does to a mask: ``python -m benchmarks.precision --data FOLDER`` (a folder that data.path may name).

Overlap is the share of one mask's kept weights that the other keeps too. It stands beside what rounding alone does (the
same weights and batches in fp32, but in PyTorch's default memory format, for which sums run in another order), beside
other batches, and beside another seed: other weights, other batches.
"""

from typing import Any

import click
import torch

import pruning
from benchmarks import networks
from pruning.masks import count
from training import data, models, seeding
from training.allocator import keep_freed_memory

METHODS = ("snip", "iter_snip", "force")


@click.command()
@click.option("--data", "folder", required=True, help="CIFAR-10, in any format that data.path takes.")
@click.option("--network", default="vgg19", show_default=True)
@click.option("--sparsity", default=0.99, show_default=True)
@click.option("--rounds", default=60, show_default=True, help="Of Iter-SNIP and FORCE.")
@click.option("--device", default="cpu", show_default=True)
def main(folder: str, network: str, sparsity: float, rounds: int, device: str) -> None:
    """Print the overlaps of masks in fp32, in bf16, by other sums, on other batches and of other seeds."""
    keep_freed_memory()
    config = networks.cifar10(folder)
    dataset = data.load(config)
    split = data.split(dataset, config, 0, device).train
    size = networks.BATCH.get(network, 128)
    click.echo(f"{network}, {sparsity:.1%}, {rounds} rounds, CIFAR-10 ({dataset.encoding}), batches of {size}")
    click.echo("| method | bf16 | fp32, default format | fp32, other batches | fp32, another seed |")
    click.echo("| :-- | --: | --: | --: | --: |")

    def masks(
        method: str, weights: int = 0, batches: int = 0, precision: str = "fp32", channels_last: bool = True
    ) -> pruning.Masks:
        def draw(step: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
            return split.sample(size, seeding.generator(batches, "precision", step))

        with seeding.seeded(weights, "weights"):
            model = models.build(network, classes=10).to(device)
        if channels_last:
            model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        options: dict[str, Any] = {} if method == "snip" else {"rounds": rounds}
        return pruning.prune(model, method, sparsity, draw, precision=precision, **options).masks

    for method in METHODS:
        ours = masks(method)
        others = (
            masks(method, precision="bf16"),
            masks(method, channels_last=False),
            masks(method, batches=1),
            masks(method, weights=1, batches=1),
        )
        click.echo(f"| {method} | " + " | ".join(f"{overlap(ours, other):.1%}" for other in others) + " |")


def overlap(one: pruning.Masks, other: pruning.Masks) -> float:
    """Share of kept weights that both keep; both keep as many."""
    return sum(int((one[name] & mask).count_nonzero()) for name, mask in other.items()) / count(one)


if __name__ == "__main__":
    main()
