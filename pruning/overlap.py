"""The overlap of two masks of one network: how many weights both keep, and how many two independent masks would."""

from typing import NamedTuple

from pruning.masks import HasMasks, Masks, masks_of


class Overlap(NamedTuple):
    """Two masks of one tensor, or of a whole network.

    Attributes:
        name: of the tensor; "total" for the network.
        weights: in the tensor.
        first, second: weights that each mask keeps.
        both: weights that both keep.
        expected: mean number of weights that both keep, if each keeps its number of every tensor at random.
    """

    name: str
    weights: int
    first: int
    second: int
    both: int
    expected: float

    @property
    def jaccard(self) -> float | None:
        """Weights that both keep, over those that either keeps; None where neither keeps any."""
        either = self.first + self.second - self.both
        return self.both / either if either else None


def overlap(first: Masks | HasMasks, second: Masks | HasMasks) -> list[Overlap]:
    """The overlap in each tensor, and last that of the whole network.

    Raises:
        ValueError: the masks are of different networks; the message names a tensor.
    """
    one, other = masks_of(first), masks_of(second)
    for name in {**one, **other}:
        shapes = [list(masks[name].shape) if name in masks else "missing" for masks in (one, other)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"these masks are of different networks: {name} is {shapes[0]} in one, {shapes[1]} in the other"
            )
    rows = []
    for name, mask in one.items():
        kept, kept_there = int(mask.count_nonzero()), int(other[name].count_nonzero())
        both = int((mask & other[name].to(mask.device)).count_nonzero())
        rows.append(Overlap(name, mask.numel(), kept, kept_there, both, kept * kept_there / max(1, mask.numel())))
    counts = [(row.weights, row.first, row.second, row.both) for row in rows]
    weights, kept, kept_there, both = (sum(column) for column in zip(*counts, strict=True)) if rows else (0, 0, 0, 0)
    return [*rows, Overlap("total", weights, kept, kept_there, both, sum(row.expected for row in rows))]
