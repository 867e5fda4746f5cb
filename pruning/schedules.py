"""Schedules: the density after round t of T, decreasing from 1 to the target."""

import math
from collections.abc import Callable

Schedule = Callable[[float, int, int], float]


def exponential(density: float, step: int, rounds: int) -> float:
    """density^(t/T): each round removes the same fraction of the remaining weights (de Jorge et al. 2021; SynFlow)."""
    return density ** (step / rounds)


def linear(density: float, step: int, rounds: int) -> float:
    """1 − t(1 − density)/T: each round removes the same number of weights."""
    return 1 - step * (1 - density) / rounds


SCHEDULES: dict[str, Schedule] = {"exponential": exponential, "linear": linear}


def kept_counts(total: int, kept: int, rounds: int, schedule: str) -> list[int]:
    """Weights kept after each of ``rounds`` rounds: nonincreasing, the last count exactly ``kept``.

    Args:
        total: number of prunable weights.
        kept: number to keep after the last round, 0 to ``total``.
        rounds: T, at least 1.
        schedule: a name of :data:`SCHEDULES`.
    """
    density_after = SCHEDULES[schedule]
    counts = [round(total * density_after(kept / total, step, rounds)) for step in range(1, rounds)]
    return [*(max(kept, count) for count in counts), kept]


def truncated_counts(total: int, kept: int, rounds: int, schedule: str, sparsity: float) -> list[int]:
    """As :func:`kept_counts`, but computed as in the FORCE authors' code: rounded down, from the requested sparsity.

    The last count is exactly ``kept`` here too.

    Args:
        sparsity: as requested, in [0, 1).
    """
    density = round(1 - sparsity, 15)  # 0.1 where 1 − 0.9 is 0.09999999999999998
    shares = [
        math.exp(step * math.log(density) / rounds) if schedule == "exponential" else linear(density, step, rounds)
        for step in range(1, rounds)
    ]
    return [*(max(kept, int(total * share)) for share in shares), kept]
