"""Commands that take what a trial found to other tools."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from sweep.cli.common import AS_JSON, STORE, examples, existing
from sweep.cli.root import main
from sweep.errors import InputError
from sweep.export.formats import NAMES

if TYPE_CHECKING:
    from sweep.export.formats import Content


@main.command(section="Look", short_help="Write masks, weights or a network to a file.", epilog=examples(
    "sweep export 3f9c --masks",
    "sweep export 3f9c --masks --out mask.safetensors",
    "sweep export 3f9c --masks --format torch-prune --weights initial",
    "sweep export 3f9c --weights final",
    "sweep export 3f9c --compact --format onnx",
))  # fmt: skip
@click.argument("trial_id", metavar="ID")
@click.option("--masks", is_flag=True, help="The masks: npz (default), safetensors, or torch-prune with weights.")
@click.option(
    "--weights",
    "which",
    type=click.Choice(["initial", "final"]),
    help="The weights, with buffers: initial ones are made again from the seed; final ones need compute.keep_weights."
    " With --compact or torch-prune: which weights these have.  [default there: final if kept]",
)
@click.option("--compact", is_flag=True, help="The network without the channels that the masks disconnect, with a JSON"
              " of its widths: safetensors (default), pt, onnx, or pt2 (torch.export).")  # fmt: skip
@click.option("--format", type=click.Choice(NAMES), help="Kind of file.  [default: by the ending of --out]")
@click.option("--out", type=click.Path(path_type=Path), help="File, or folder for it.  [default: ID-masks.npz, …]")
@click.option("--force", is_flag=True, help="Replace files that exist.")
@STORE
@AS_JSON
def export(
    trial_id: str,
    masks: bool,
    which: Literal["initial", "final"] | None,
    compact: bool,
    format: str | None,
    out: Path | None,
    force: bool,
    store: str | None,
    as_json: bool,
) -> None:
    """Write a trial's masks, weights or compact network to a file for other tools. The beginning of an ID is enough.

    Initial weights and compact networks are made with the network's own code, which is imported as the record names it:
    export them only from stores that you trust.
    """
    if masks and compact:
        raise InputError("--masks and --compact are two files: export one after the other")
    if not (masks or compact or which):
        raise InputError("say what to export: --masks, --weights initial, --weights final or --compact")
    content: Content = "masks" if masks else "compact" if compact else "weights"

    from sweep.cli.print import masks as print_masks
    from sweep.cli.print.console import make_console
    from sweep.export.files import Request
    from sweep.export.files import export as write
    from sweep.store.lookup import stored_trial

    opened = existing(store)
    record = stored_trial(opened, trial_id)
    result = write(opened, record, Request(content, which, format, out, force))
    if as_json:
        click.echo(json.dumps(print_masks.exported_json(record, result), indent=1))
    else:
        print_masks.exported(make_console(), record, result)


@main.command(
    section="Look",
    short_help="Masks by layer; how far two trials agree.",
    epilog=examples("sweep masks 3f9c", "sweep masks 3f9c a07b", "sweep masks 3f9c a07b --json"),
)
@click.argument("trial_id", metavar="ID")
@click.argument("other", metavar="[OTHER]", required=False)
@STORE
@AS_JSON
def masks(trial_id: str, other: str | None, store: str | None, as_json: bool) -> None:
    """Kept weights of a trial by layer; of two trials, how far their masks overlap.

    The overlap is compared with that of masks which keep as many weights of each layer at random.
    """
    from sweep.cli.print import masks as print_masks
    from sweep.cli.print.console import make_console
    from sweep.store.lookup import stored_trial

    opened = existing(store)
    record = stored_trial(opened, trial_id)
    if other is None:
        layers = print_masks.layers_json(opened, record)
        if as_json:
            click.echo(json.dumps(layers, indent=1))
        else:
            print_masks.layers(make_console(), record, layers)
        return
    from pruning.overlap import overlap  # takes torch
    from sweep.export.stored import masks_of

    second = stored_trial(opened, other)
    try:
        rows = overlap(masks_of(opened, record), masks_of(opened, second))
    except InputError:
        raise
    except ValueError as error:
        raise InputError(
            f"{record.trial_id} ({record.title}) and {second.trial_id} ({second.title}): {error}"
        ) from None
    if as_json:
        click.echo(json.dumps(print_masks.overlap_json(rows), indent=1))
    else:
        print_masks.overlap(make_console(), (record, second), rows)
