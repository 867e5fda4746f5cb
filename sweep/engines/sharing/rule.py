"""The rule: how many trials share a GPU, from what one alone takes of it. Figures are in docs/performance.md.

As many trials share a GPU as together keep it busy: the busy share of one is its GPU seconds of a step × its steps a
second. One that already keeps the GPU busy does not share it, unless ``compute.mps`` lets processes use it at the same
time, which is worth it for four. However many it is, they fit the GPU's memory with a margin.
"""

import math
from typing import NamedTuple

from sweep.trial.gpu_use import GpuUse

MEMORY = 0.9  # share of the GPU's memory that trials may take together: validation and fragments need the rest
FULL = 0.95  # busy share that is as good as all
ALONE = 0.8  # busy share from which on turns do not pay: they cost an eighth, so two trials would gain less than 10 %
UNDER_MPS = 4  # trials under MPS that finish 1.3 to 1.6 times as soon as one after another; more were not measured
MOST = 16  # trials: each has a context, and the host launches for all of them


class Sharing(NamedTuple):
    """How many trials of an architecture share a GPU.

    Attributes:
        trials: at least 1.
        reason: as a clause.
    """

    trials: int
    reason: str

    @property
    def share(self) -> float:
        """Of a GPU for each trial, in ten-thousandths, as Ray counts them; rounded down, so that all fit."""
        return math.floor(10_000 / self.trials) / 10_000


def sharing(use: GpuUse, mps: bool) -> Sharing:
    """How many trials that each take so much share a GPU.

    Args:
        use: of one trial alone.
        mps: whether processes use the GPU at the same time.
    """
    to_fill = min(MOST, math.ceil(FULL / use.busy - 1e-9)) if use.busy > 0 else MOST
    if mps:
        wanted, why = max(UNDER_MPS, to_fill), "under compute.mps they use it at the same time"
    elif use.busy > ALONE:
        wanted, why = 1, "others would only take turns with it (compute.mps: off)"
    else:
        wanted, why = to_fill, "so many fill it"
    fitting = max(1, int(MEMORY * use.card_bytes / use.trial_bytes)) if use.trial_bytes else MOST
    alone = f"one alone keeps it busy {use.busy:.0%} of the time"
    room = f"takes {use.trial_bytes / 1e9:.1f} of {use.card_bytes / 1e9:.0f} GB"
    if fitting < wanted:
        return Sharing(fitting, f"{alone} and {room}, so no more fit ({wanted} would keep it busy)")
    return Sharing(wanted, f"{alone} and {room}; {why}")
