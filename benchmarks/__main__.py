"""``python -m benchmarks``: measure, print the table, write it as JSON."""

from pathlib import Path

import click
import torch

from benchmarks import (
    authors,
    compiled,
    gpu,
    masks,
    measure,
    mirror,
    pruning,
    roofline,
    store,
    streamed,
    sweeps,
    training,
)
from training.allocator import keep_freed_memory

GROUPS = {
    "pruning": pruning.run,
    "authors": authors.run,
    "training": training.run,
    "compiled": compiled.run,
    "gpu": gpu.run,
    "streamed": streamed.run,
    "sweeps": sweeps.run,
    "mirror": mirror.run,
    "masks": masks.run,
    "store": store.run,
    "roofline": roofline.run,
}


@click.command()
@click.option("--device", default="cpu", show_default=True, help="cpu, or cuda on a GPU box.")
@click.option("--only", multiple=True, type=click.Choice(list(GROUPS)), help="One group; may be given again.")
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
    rows = []
    for group in only or GROUPS:
        for row in GROUPS[group](measure.Setup(device, full, data)):
            rows.append(row)
            times = "" if row.ours is None else f"   ({row.ours:.3g} s, {row.reference:.3g} s)"
            click.echo(f"{row.value:8.3g} {row.unit:4} {row.target:>7} {row.verdict:3}  {row.name}{times}")
            measure.write(rows, device, path)  # row by row: a run that is cut off has what it measured
    click.echo(f"\n{measure.markdown(rows)}\n\n{measure.machine(device)}\nwritten: {path}")


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
