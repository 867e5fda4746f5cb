"""The grid of a YAML, and the combinations of its values that are trials."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, NamedTuple

import pruning
from pruning.ablations import INVERT, NONE
from sweep.config.axes import AXES, Choice


class Combination(NamedTuple):
    """A value of each axis: what distinguishes a trial from the others of its sweep."""

    architecture: Choice
    method: Choice
    sparsity: float
    seed: int
    ablation: str


@dataclass(frozen=True)
class Block:
    """Values of some axes, and every combination of them. An axis without values is not named.

    Attributes:
        architecture: networks.
        method: pruning methods.
        sparsity: fractions removed.
        seed: seeds.
        ablation: controls.
    """

    architecture: tuple[Choice, ...] = ()
    method: tuple[Choice, ...] = ()
    sparsity: tuple[float, ...] = ()
    seed: tuple[int, ...] = ()
    ablation: tuple[str, ...] = ()

    @property
    def axes(self) -> tuple[str, ...]:
        """The named axes."""
        return tuple(axis for axis in AXES if getattr(self, axis))

    def over(self, other: "Block") -> "Block":
        """This block, with the values of ``other`` on the axes that this one does not name."""
        return replace(other, **{axis: getattr(self, axis) for axis in self.axes})

    def combinations(self) -> Iterator[Combination]:
        """Every combination of a block that names all axes, seeds varying slowest.

        A method that removes nothing (dense) has one at sparsity 0. Nothing is ablated at sparsity 0, and nothing
        inverted where that means nothing (SET, RigL).
        """
        for seed, architecture, method in product(self.seed, self.architecture, self.method):
            preset = pruning.find(method.name)
            ablations = [name for name in self.ablation if name != INVERT or preset.invertible]
            for sparsity in self.sparsity if preset.removes else (0.0,):
                for ablation in ablations if sparsity else (NONE,):
                    yield Combination(architecture, method, sparsity, seed, ablation)

    def as_dict(self) -> dict[str, Any]:
        """The named axes in plain values, as a YAML has them."""
        return {
            axis: [value.as_written() if isinstance(value, Choice) else value for value in getattr(self, axis)]
            for axis in self.axes
        }


@dataclass(frozen=True)
class Grid:
    """The axes of the sweep; every combination of their values is a trial, unless the last three keys say otherwise.

    Each axis is one value or a list. An architecture and a method are a name, or a mapping ``{name: …, option: …}``.
    docs/grids.md has examples of ``paired``, ``exclude`` and ``include``.

    Attributes:
        architecture: the networks; ``sweep architectures`` lists them, and ``package.module:factory`` is your own.
        method: the pruning methods; ``sweep methods`` lists them, and ``package.module:function`` is your own. Tables
            and figures call ``{name: force, rounds: 60, label: "FORCE-60"}`` by its label, which is no part of an id;
            an architecture may have one too. The labels of a sweep's last launch count.
        sparsity: fractions of the prunable weights that are removed, in [0, 1).
        seed: whole numbers from 0 to 2147483647.
        ablation: controls made of every method's mask: "none", "shuffle_layerwise", "reinitialize" or "invert".
        paired: axes whose values go together, as in ``[{architecture: resnet20, sparsity: [0.9, 0.95]}, {architecture:
            vgg19, sparsity: 0.99}]``. Each entry names the same two or more axes, which then have no key of their own,
            and is combined with all values of the others.
        exclude: combinations to leave out, as in ``[{method: grasp, sparsity: 0.99}, {architecture: vgg19, seed: [3,
            4]}]``. A combination is left out if it has, on every axis that an entry names, one of the entry's values.
            An architecture or a method is given by its name, by its label, or by a mapping with its name and some of
            its options. An entry that matches nothing is an error.
        include: combinations to add after that, as in ``[{method: force, sparsity: 0.999}]``. Their values need not be
            on the axes. An axis that an entry does not name has all values of the grid.
    """

    architecture: tuple[Choice, ...]
    method: tuple[Choice, ...]
    sparsity: tuple[float, ...]
    seed: tuple[int, ...]
    ablation: tuple[str, ...] = (NONE,)
    paired: tuple[Block, ...] = field(default=(), metadata={"identity": False})
    exclude: tuple[Block, ...] = field(default=(), metadata={"identity": False})
    include: tuple[Block, ...] = field(default=(), metadata={"identity": False})

    @property
    def is_product(self) -> bool:
        """Whether every combination of the axes is a trial."""
        return not (self.paired or self.exclude or self.include)

    def blocks(self) -> list[Block]:
        """The product of the axes; with paired ones, a product for each pair."""
        axes = Block(**{axis: getattr(self, axis) for axis in AXES})
        return [pair.over(axes) for pair in self.paired] or [axes]

    def included(self, block: Block) -> list[Block]:
        """An entry of ``include`` with the grid's values on the axes that it does not name."""
        return [block.over(whole) for whole in self.blocks()]

    def combinations(self) -> list[Combination]:
        """All of them, each once, seeds varying slowest, so that a stopped sweep has complete comparisons."""
        excluded = Matcher(self.exclude)
        found = [c for block in self.blocks() for c in block.combinations() if not excluded.matches(c)]
        found += [c for entry in self.include for block in self.included(entry) for c in block.combinations()]
        seeds = {seed: place for place, seed in enumerate(dict.fromkeys(c.seed for c in found))}
        return sorted(dict.fromkeys(found), key=lambda combination: seeds[combination.seed])

    def changes(self) -> "Changes":
        """How many trials ``exclude`` leaves out of the product and ``include`` adds to it."""
        whole = {c for block in self.blocks() for c in block.combinations()}
        kept = set(self.combinations()) if not self.is_product else whole
        return Changes(len(whole - kept), len(kept - whole))

    def used(self, axis: str) -> tuple[Any, ...]:
        """The values of an axis that some trial has, in the order of the trials."""
        if self.is_product:
            return tuple(getattr(self, axis))
        return tuple(dict.fromkeys(getattr(combination, axis) for combination in self.combinations()))

    def as_dict(self) -> dict[str, Any]:
        """The grid in plain values, as a YAML has it; keys at their defaults are left out, except ``ablation``."""
        paired = {axis for pair in self.paired for axis in pair.axes}
        axes = Block(**{axis: getattr(self, axis) for axis in AXES if axis not in paired})
        lists = {"paired": self.paired, "exclude": self.exclude, "include": self.include}
        return axes.as_dict() | {key: [block.as_dict() for block in blocks] for key, blocks in lists.items() if blocks}


class Changes(NamedTuple):
    """The difference of a grid from the product of its axes: numbers of trials."""

    excluded: int
    included: int


class Matcher:
    """Which of many blocks contain a combination, in a few look-ups: bit i of a number stands for block i."""

    def __init__(self, blocks: Sequence[Block]):
        self._unnamed: dict[str, int] = {}
        self._naming: dict[str, Mapping[Any, int]] = {}
        for axis in AXES:
            naming: dict[Any, int] = {}
            self._unnamed[axis] = sum(1 << i for i, block in enumerate(blocks) if axis not in block.axes)
            for i, block in enumerate(blocks):
                for value in getattr(block, axis):
                    naming[value] = naming.get(value, 0) | 1 << i
            self._naming[axis] = naming

    def matches(self, combination: Combination) -> int:
        """The bits of the blocks that contain a combination; 0 for none."""
        bits = -1
        for axis, value in zip(AXES, combination, strict=True):
            bits &= self._unnamed[axis] | self._naming[axis].get(value, 0)
        return bits
