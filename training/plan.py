"""What an epoch reads, in which order and how augmented: drawn once an epoch on the CPU, then on the images' device."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from training.augment import Draws


class Plan(NamedTuple):
    """N images, in the order in which they are read."""

    rows: Tensor  # int64 [N], of the images that lie on the device
    draws: Draws | None  # of these N images; None: they are not augmented

    def part(self, start: int, stop: int) -> "Plan":
        """What is read from image `start` to image `stop`."""
        return Plan(self.rows[start:stop], self.draws and self.draws.rows(start, stop))


def pack(plan: Plan, size: int, rates: Sequence[float]) -> Tensor:
    """Steps of `size` augmented images each, with their learning rates: int64 [steps, width], a row for `StepInputs`.

    Args:
        plan: augmented, of at least size · steps images; those beyond are left out.
        rates: one for each step.
    """
    assert plan.draws is not None
    steps = len(rates)
    rows, draws = plan.part(0, steps * size)
    bits = torch.tensor(rates, dtype=torch.float64).view(torch.int64).to(rows.device)
    columns = (rows, draws.corners, draws.flips.long(), bits)  # type: ignore[union-attr]
    return torch.cat([column.reshape(steps, -1) for column in columns], dim=1)


class StepInputs:
    """The inputs of one step, in a static tensor that one copy of a packed row renews.

    Attributes:
        values: int64 [width]: rows, corners, flips and the bits of the learning rate.
    """

    def __init__(self, size: int, device: torch.device) -> None:
        self.values = torch.zeros(4 * size + 1, dtype=torch.int64, device=device)
        self._size = size

    def plan(self) -> Plan:
        """What the step reads: views of `values`, but for the flips."""
        rows, corners, flips, _ = self.values.split([self._size, 2 * self._size, self._size, 1])
        return Plan(rows, Draws(corners.view(-1, 2), flips.bool()))

    def rate(self) -> Tensor:
        """The learning rate: a view of `values`, float64."""
        return self.values[-1].view(torch.float64)
