"""From the section ``grid`` of a YAML to a :class:`Grid`, with errors that name the line and the fix."""

import contextlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sweep.config import validate
from sweep.config.axes import AXES, READERS, Choice, read_axis, read_method, read_named
from sweep.config.combinations import Block, Combination, Grid, Matcher
from sweep.config.yaml_tree import Node, bare
from sweep.errors import InputError
from sweep.text import number
from training.suggest import suggest

MOST_TRIALS = 100_000  # a plan of as many takes a minute
_MOST_COMBINATIONS = 10 * MOST_TRIALS  # before `exclude`: as many take seconds to look through
_LISTS = ("paired", "exclude", "include")
_OPTIONAL = ("ablation",)
_SHOWN = 12  # values in an error
_ABSENT = object()


def read_grid(node: Node) -> Grid:
    """The grid that a mapping of axes describes; a scalar stands for a list of one.

    Raises:
        InputError: something is wrong; the message names the key.
    """
    if not isinstance(node.value, dict):
        raise node.error("grid", f"must be a mapping with the axes {', '.join(AXES)}")
    for key, child in node.value.items():
        if key not in (*AXES, *_LISTS):
            raise child.error(f"grid.{key}", f"unknown axis; {suggest(key, (*AXES, *_LISTS))}")
    paired = _paired(node)
    axes = _axes(node, paired)
    grid = Grid(**axes, paired=paired)
    if "include" in node.value:
        grid = replace(grid, include=_included(node, grid))
    _check_labels(node, grid)
    _check_size(node, grid)
    if "exclude" in node.value:
        grid = replace(grid, exclude=_excluded(node, grid))
        trials = len(grid.combinations())
        if not trials:
            raise node.value["exclude"].error("grid.exclude", "leaves no trial; remove an entry")
        if trials > MOST_TRIALS:
            raise node.error("grid", f"has {trials:,} trials, and one sweep up to {MOST_TRIALS:,}: split it")
    return grid


def written_methods(node: Node) -> Iterator[tuple[Choice, str, Node]]:
    """Each method that a readable section ``grid`` asks for, with its key and where it stands; none given by label."""
    holders = [("grid.method", node)]
    for key in ("paired", "include"):
        if key in node.value:
            holders += [(f"grid.{key}.method", entry) for entry in _entries(node, key)]
    for key, holder in holders:
        child = holder.value.get("method", Node([], holder.where))
        for item in child.value if isinstance(child.value, list) else [child]:
            with contextlib.suppress(InputError):
                yield read_method(item, key), key, item


def _axes(node: Node, paired: Sequence[Block]) -> dict[str, Any]:
    """The values of each axis: those of its own key, or of all pairs."""
    axes: dict[str, Any] = {}
    for axis in AXES:
        child = node.value.get(axis)
        if paired and axis in paired[0].axes:
            if child is not None:
                raise child.error(f"grid.{axis}", f"grid.paired names this axis too ({node.value['paired'].where}); "
                                  "give its values in one of the two")  # fmt: skip
            axes[axis] = tuple(dict.fromkeys(value for pair in paired for value in getattr(pair, axis)))
        elif child is not None:
            axes[axis] = read_axis(axis, child, f"grid.{axis}")
        elif axis not in _OPTIONAL:
            raise node.error(f"grid.{axis}", "is missing: the grid is architecture × method × sparsity × seed")
    return axes


def _entries(node: Node, key: str) -> list[Node]:
    """The entries of one of the lists, each a mapping from axes to values."""
    child = node.value[key]
    entries = child.value if isinstance(child.value, list) else [child]
    for entry in entries:
        if not isinstance(entry.value, dict) or not entry.value:
            raise entry.error(
                f"grid.{key}", f"each entry is a mapping such as {{method: …, sparsity: …}}, not {_shown(entry)}"
            )
        for axis, value in entry.value.items():
            if axis not in AXES:
                raise value.error(f"grid.{key}.{axis}", f"unknown axis; {suggest(axis, AXES)}")
    return list(entries)


def _shown(entry: Node) -> str:
    return "an empty mapping" if entry.value == {} else validate.scalar(entry)


# paired


def _paired(node: Node) -> tuple[Block, ...]:
    entries = _entries(node, "paired") if "paired" in node.value else []
    blocks = [
        Block(**{axis: read_axis(axis, child, f"grid.paired.{axis}") for axis, child in entry.value.items()})
        for entry in entries
    ]
    for entry, block in zip(entries, blocks, strict=True):
        if len(block.axes) < 2:
            raise entry.error("grid.paired", f"pairs two axes or more, and this entry names only {block.axes[0]}")
        if block.axes != blocks[0].axes:
            first, these = ", ".join(blocks[0].axes), ", ".join(block.axes)
            raise entry.error("grid.paired", f"each entry names the same axes: the first has {first}, this one {these}")
    if len(blocks) == 1 and sum(len(getattr(blocks[0], axis)) > 1 for axis in blocks[0].axes) > 1:
        raise entries[0].error(
            "grid.paired", "one entry alone pairs nothing: write an entry for each pair, as in [{architecture: a,"
            " sparsity: 0.9}, {architecture: b, sparsity: 0.99}]",
        )  # fmt: skip
    return tuple(blocks)


# include


def _included(node: Node, grid: Grid) -> tuple[Block, ...]:
    blocks = []
    pairs = grid.paired[0].axes if grid.paired else ()
    for entry in _entries(node, "include"):
        values = {axis: _included_axis(axis, child, grid) for axis, child in entry.value.items()}
        block = Block(**values)
        left = [axis for axis in pairs if axis not in block.axes]
        if left and len(left) < len(pairs):
            raise entry.error("grid.include", f"names some of the paired axes only; add {', '.join(left)}")
        if not any(True for whole in grid.included(block) for _ in whole.combinations()):
            raise entry.error("grid.include", "adds no trial: its methods have no such ablation")
        blocks.append(block)
    return tuple(blocks)


def _included_axis(axis: str, node: Node, grid: Grid) -> tuple[Any, ...]:
    """The values of an axis, with labels of the grid's choices in their place."""
    labelled = {c.display_name: c for c in getattr(grid, axis) if isinstance(c, Choice) and c.display_name}
    items = node.value if isinstance(node.value, list) else [node]
    found = [labelled.get(item.value) if isinstance(item.value, str) else None for item in items]
    others = [item for item, choice in zip(items, found, strict=True) if choice is None]
    read = iter(read_axis(axis, replace(node, value=others), f"grid.include.{axis}") if others or not items else ())
    return tuple(dict.fromkeys(choice if choice is not None else next(read) for choice in found))


# exclude


def _excluded(node: Node, grid: Grid) -> tuple[Block, ...]:
    """The entries of ``exclude``, each with the values that it matches.

    An entry of the file may match nothing where ``--set`` changed an axis; it is left out then.
    """
    is_changed = any(child.is_set for key, child in node.value.items() if key in (*AXES, "paired"))
    values: dict[str, dict[Any, None]] = {axis: {} for axis in AXES}
    for combination in _product(grid):
        for axis, value in zip(AXES, combination, strict=True):
            values[axis][value] = None
    entries, blocks = [], []
    for entry in _entries(node, "exclude"):
        may_miss = is_changed and not entry.is_set
        named = {axis: _matched(axis, child, values[axis], may_miss) for axis, child in entry.value.items()}
        if all(named.values()):
            entries.append((entry, may_miss))
            blocks.append(Block(**named))
    matcher, matched = Matcher(blocks), 0
    for combination in _product(grid):
        matched |= matcher.matches(combination)
    used = [bool(matched >> place & 1) for place in range(len(blocks))]
    for (entry, may_miss), is_used in zip(entries, used, strict=True):
        if not is_used and not may_miss:
            raise entry.error("grid.exclude", f"no trial of the grid has all of {_written(entry)}; change or remove it")
    return tuple(block for block, is_used in zip(blocks, used, strict=True) if is_used)


def _product(grid: Grid) -> Iterator[Combination]:
    """The combinations that ``exclude`` may leave out."""
    for block in grid.blocks():
        yield from block.combinations()


def _matched(axis: str, node: Node, values: Mapping[Any, None], may_miss: bool) -> tuple[Any, ...]:
    """Those of an axis's values that an entry matches."""
    key = f"grid.exclude.{axis}"
    matched: dict[Any, None] = {}
    items = node.value if isinstance(node.value, list) else [node]
    if not items:
        raise node.error(key, "is empty: name at least one value, or leave the axis out to match all")
    for item in items:
        if axis in ("architecture", "method"):
            found = _choices(item, key, values)
        else:
            value = READERS[axis](item, key)
            found = [value] if value in values else []
        if not found and not may_miss:
            raise item.error(key, f"{_written(item)} is not in the grid; {_has(axis, item, list(values))}")
        matched.update(dict.fromkeys(found))
    return tuple(matched)


def _choices(node: Node, key: str, choices: Iterable[Choice]) -> list[Choice]:
    """The choices that an item means: by name, by label, or by name and some options."""
    name, options = read_named(node, key)
    text = node.value if isinstance(node.value, str) else None
    found = []
    for choice in choices:
        given = {"label": choice.display_name} | dict(choice.options)
        by_name = choice.name == name and all(given.get(option, _ABSENT) == v for option, v in options.items())
        if by_name or (text and text in (choice.label, choice.display_name)):
            found.append(choice)
    return found


def _has(axis: str, node: Node, values: Sequence[Any]) -> str:
    """What the grid has on an axis: the nearest name, or all of it if that is not long."""
    if axis in ("architecture", "method"):
        names = dict.fromkeys(text for choice in values for text in (choice.name, choice.display_name) if text)
        if isinstance(node.value, str):
            return suggest(node.value, names)
        return f"it has {_listed([choice.label for choice in values])}"
    return f"it has {_listed([number(value) if axis == 'sparsity' else str(value) for value in values])}"


def _listed(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more


def _written(node: Node) -> str:
    """An entry or an item as it may be written: ``{method: grasp, seed: [3, 4]}``."""
    value = bare(node)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_written(child)}" for key, child in node.value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_written, node.value)) + "]"
    return repr(value) if isinstance(value, str) else str(value)


# the whole


def _check_labels(node: Node, grid: Grid) -> None:
    """Check that no label stands for two choices, of the axes and of what is included."""
    for axis in ("architecture", "method"):
        by_label: dict[str, Choice] = {}
        sources = [(axis, getattr(grid, axis)), *(("include", getattr(block, axis)) for block in grid.include)]
        for key, choices in sources:
            for choice in choices:
                other = by_label.setdefault(choice.display_name, choice)
                if choice.display_name and other != choice:
                    child = node.value.get(key, node.value.get("paired", node))
                    raise child.error(
                        f"grid.{key}", f"the label {choice.display_name!r} stands twice in the grid; give each its own"
                    )


def _check_size(node: Node, grid: Grid) -> None:
    """Check the number of combinations before any is made."""
    most, before = (_MOST_COMBINATIONS, " before grid.exclude") if "exclude" in node.value else (MOST_TRIALS, "")
    blocks = [*grid.blocks(), *(whole for entry in grid.include for whole in grid.included(entry))]
    total = sum(math.prod(len(getattr(block, axis)) for axis in AXES) for block in blocks)
    if total > most:
        raise node.error("grid", f"has {total:,} combinations{before}, and one sweep up to {most:,}: split it")
