"""``python -m benchmarks``: measure, print the table, write it as JSON."""

import importlib
import time
from pathlib import Path

import click
import torch

from benchmarks import measure
from training.allocator import keep_freed_memory

# modules of benchmarks, imported when their turn comes: on the machine of a GPU there may be neither Ray nor MLflow
GROUPS = (
    "pruning", "authors", "training", "compiled", "gpu", "packing", "streamed", "sweeps", "mirror", "masks", "store",
    "roofline", "copies", "scale",
)  # fmt: skip


@click.command()
@click.option("--device", default="cpu", show_default=True, help="cpu, or cuda on a GPU box.")
@click.option("--only", multiple=True, type=click.Choice(GROUPS), help="One group; may be given again.")
@click.option(
    "--full", is_flag=True, help="Sixty FORCE rounds, and every trial the plain way too: the better part of an hour."
)
@click.option("--data", help="A folder with CIFAR-10, as data.path takes it, for masks of real images; else of noise.")
@click.option("--json", "path", default="benchmarks.json", show_default=True, type=click.Path(path_type=Path))
def main(device: str, only: tuple[str, ...], full: bool, data: str | None, path: Path) -> None:
    """Measure what is claimed to be fast, each beside the plain way of doing it.

    Nothing else should run meanwhile: on a busy machine both sides of a ratio are noise.
    """
    keep_freed_memory()
    rows, start = [], time.perf_counter()
    for group in only or GROUPS:
        for row in importlib.import_module(f"benchmarks.{group}").run(measure.Setup(device, full, data)):
            rows.append(row)
            times = "" if row.ours is None else f"   ({row.ours:.3g} s, {row.reference:.3g} s)"
            figure = f"{measure.figure(row.value):>8} {row.unit:8} {row.target:>8} {row.verdict:3}"
            click.echo(f"{time.perf_counter() - start:5.0f} s  {figure}  {row.name}{times}")
            measure.write(rows, device, path)  # row by row: a run that is cut off has what it measured
    click.echo(f"\n{measure.markdown(rows)}\n\n{measure.machine(device)}\nwritten: {path}")


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
