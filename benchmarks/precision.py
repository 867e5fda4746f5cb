"""What bf16 does to a mask: ``python -m benchmarks.precision --data FOLDER`` (a folder that data.path may name).

Overlap is the share of one mask's kept weights that the other keeps too. It stands beside that of two fp32 masks of
the same weights on other batches, and that of two seeds: other weights, other batches.
"""

import click
import torch

import pruning
from benchmarks import networks
from pruning.masks import count
from training import data, models, seeding
from training.allocator import keep_freed_memory
from training.data_config import DataConfig

METHODS = {"snip": {}, "iter_snip": {"rounds": 60}, "force": {"rounds": 60}}


@click.command()
@click.option("--data", "folder", required=True, help="CIFAR-10, in any format that data.path takes.")
@click.option("--network", default="vgg19", show_default=True)
@click.option("--sparsity", default=0.99, show_default=True)
@click.option("--device", default="cpu", show_default=True)
def main(folder: str, network: str, sparsity: float, device: str) -> None:
    """Print the overlaps of masks in fp32, in bf16, on other batches and of other seeds."""
    keep_freed_memory()
    config = data.resolve(DataConfig("cifar10", path=folder))
    dataset = data.load(config)
    split = data.split(dataset, config, 0, device).train
    click.echo(
        f"{network}, {sparsity:.1%}, CIFAR-10 ({dataset.encoding}), batches of {networks.BATCH.get(network, 128)}"
    )
    click.echo("| method | bf16 and fp32 | fp32, other batches | fp32, another seed |\n| :-- | --: | --: | --: |")

    def masks(method: str, weights: int, batches: int, precision: str) -> pruning.Masks:
        def draw(step: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
            return split.sample(networks.BATCH.get(network, 128), seeding.generator(batches, "precision", step))

        with seeding.seeded(weights, "weights"):
            model = models.build(network, classes=10).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return pruning.prune(model, method, sparsity, draw, precision=precision, **METHODS[method]).masks

    for method in METHODS:
        ours = masks(method, 0, 0, "fp32")
        others = masks(method, 0, 0, "bf16"), masks(method, 0, 1, "fp32"), masks(method, 1, 1, "fp32")
        click.echo(f"| {method} | " + " | ".join(f"{overlap(ours, other):.1%}" for other in others) + " |")


def overlap(one: pruning.Masks, other: pruning.Masks) -> float:
    """Share of kept weights that both keep; both keep as many."""
    return sum(int((one[name] & mask).count_nonzero()) for name, mask in other.items()) / count(one)


if __name__ == "__main__":
    main()
