"""Rounds: what one change of the masks did."""

from dataclasses import dataclass

from pruning.masks import Masks, count
from pruning.threshold import Ties


@dataclass(frozen=True)
class Round:
    """One score→mask pass: ``revived`` weights came back, ``lost`` went, ``kept`` remain after it.

    Attributes:
        force_objective: Σ c_i |θ_i g_i(θ⊙c)| of the mask that the round started from, on the round's batches;
            None for methods that take no such gradient.
        tied_kept: kept weights that were chosen by index out of ``tied_candidates`` with the score of the threshold;
            None where no scores were compared.
    """

    round: int
    density: float
    kept: int
    revived: int
    lost: int
    force_objective: float | None = None
    tied_kept: int | None = None
    tied_candidates: int | None = None


def compare(
    number: int,
    before: Masks,
    after: Masks,
    force_objective: float | None = None,
    counts: tuple[int, int] | None = None,
    ties: Ties | None = None,
) -> Round:
    """The round that led from one mask to the next; ``counts`` of both, where they are known already."""
    had, kept = counts or (count(before), count(after))
    both = sum(int((before[name] & mask).count_nonzero()) for name, mask in after.items())
    total = sum(mask.numel() for mask in after.values())
    return Round(number, kept / total, kept, kept - both, had - both, force_objective, *(ties or (None, None)))
