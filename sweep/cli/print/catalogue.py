"""What is shipped, as the commands list it: methods, architectures and published experiments."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import torch
from rich.console import Console
from rich.text import Text

import pruning
from pruning import registry
from pruning.method import TIMES, Method
from pruning.option_meanings import options_of
from pruning.schedules import SCHEDULES
from pruning.scopes import SCOPES
from sweep.cli.print.methods_page import SHARED, heading, shown
from sweep.errors import InputError
from sweep.report.terminal import Fitting, columns
from sweep.reproduce import names, summarise
from training import data, models

Row = dict[str, Any]


def method_rows() -> tuple[list[Row], list[str]]:
    """Methods that a grid may name, and a line for each method of an installed package that cannot be loaded."""
    found, reasons = registry.usable()
    return [method_row(method) for method in found], reasons


def method_row(method: Method) -> Row:
    """One method, with its options and what they mean."""
    return {
        "method": method.name,
        "when": method.time,
        "what": method.summary.replace("`", ""),
        "options": method.options,
        "meanings": {option.name: option.meaning for option in options_of(method)},
        "data": method.data,
        "paper": method.paper,
    }


def named_method(name: str) -> Row:
    """The row of the method of this name, or of a function of your own.

    Raises:
        InputError: there is none; the message has the nearest known name.
    """
    try:
        return method_row(registry.find(name))
    except ValueError as error:
        raise InputError(str(error)) from None


def method_options(out: Console, row: Row) -> None:
    """One method: what it does, and each of its options with default and meaning."""
    out.print(Text.assemble((row["method"], "bold"), f"  {row['what']}"))
    out.print(" · ".join(filter(None, (heading(row["when"]), row["paper"]))), markup=False)
    options = [(Text(k, "cyan"), Text(shown(v)), Text(row["meanings"][k])) for k, v in row["options"].items()]
    table = Fitting(("option", "default", "meaning"), options, prose={2})
    out.print()
    out.print(table if row["options"] else "It has no options.")


def methods(out: Console, rows: Sequence[Row]) -> None:
    """The methods by the time when their masks are made, with the options that are a method's own."""
    roomy = out.width >= 90  # for papers beside what a method does
    number = 3 if roomy else 2
    for when, group in groupby(sorted(rows, key=_time), key=_time):
        texts = [
            (Text(f"  {row['method']}"), _what(row), Text(row["paper"].partition(" (")[0]))[:number] for row in group
        ]
        out.print(Text(heading(TIMES[when]), style="bold"), Fitting(("", "", "")[:number], texts, prose={1, 2}), "")
    shared = f"scope={'|'.join(SCOPES)} and floor=0; those with rounds, schedule={'|'.join(SCHEDULES)}"
    out.print(
        f"Most also take {shared}.\n"
        'In a YAML: method: [snip, {name: force, rounds: 300}, "my_package.module:function"]\n'
        "What the options of one mean: sweep methods NAME\n"
        "Equations, what the authors' code does: docs/methods.md. Your own: docs/adding-a-method.md",
        markup=False,
    )


def _time(row: Row) -> int:
    return TIMES.index(row["when"])


def _what(row: Row) -> Text:
    own = [f" {k}={shown(v)}" for k, v in row["options"].items() if k == "rounds" or k not in SHARED]
    return Text.assemble(row["what"], *((option, "cyan") for option in own))


def architecture_rows() -> list[Row]:
    """The shipped architectures, with their weights at ten classes of 32×32 colour images where they take these."""
    rows = []
    for name in models.names():
        large, digits = name.startswith("imagenet_"), name.endswith("_digits")
        images = data.info("imagenet" if large else "digits" if digits else "cifar10")
        with torch.device("meta"):
            model = models.build(
                name, classes=images.classes or 10, channels=images.channels, size=images.image_size or 32
            )
        weights = pruning.prunable(model).values()
        rows.append({
            "architecture": name,
            "what": models.describe(name).replace("`", ""),
            "prunable": sum(w.numel() for w in weights),
            "tensors": len(weights),
            "classes": images.classes,
            "options": {"init": models.default_init(name), **models.check(name, {})},
        })  # fmt: skip
    return rows


def architectures(out: Console, rows: Sequence[Row]) -> None:
    """The architectures as a table."""
    shown = [row | {"options": ", ".join(f"{k}={v}" for k, v in row["options"].items())} for row in rows]
    out.print(
        columns(shown, ["architecture", "prunable", "tensors", "classes", "what", "options"], {"what", "options"})
    )
    out.print(
        "\nIn a YAML: architecture: [resnet50, {name: vgg19, width: 0.5}]. Your own:\n"
        "package.module:factory or path/to/file.py:factory, docs/own-network-and-data.md",
        markup=False,
    )


def reproduction_rows() -> list[Row]:
    """What ``sweep reproduce`` can run, what it takes and where its numbers come from."""
    return [summarise(name) for name in names()]


def reproductions(out: Console, rows: Sequence[Row]) -> None:
    """The same as a table."""
    out.print(
        columns(rows, ["name", "data", "architecture", "trials", "epochs", "numbers", "claims", "source"], {"source"})
    )
    out.print("\nRun and judge one: sweep reproduce NAME [--local]")
