"""A ratio of two times, taken in turns so that a drift of the machine's speed meets both alike."""

import gc
import json
import os
import platform
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

Work = Callable[[], Any]


@dataclass(frozen=True)
class Setup:
    """What is measured on: a device, at length or not, and CIFAR-10 for masks where it is at hand (else noise)."""

    device: str = "cpu"
    full: bool = False
    data: str | None = None


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        group: the measurement that it belongs to.
        name: what is compared with what.
        value: the figure, mostly a ratio: the median over pairs.
        low, high: least and greatest of the pairs.
        unit: "x" for a ratio.
        at_most, at_least: what is to hold, if anything is.
        ours, reference: median seconds of both sides, where the figure is a ratio of times.
    """

    group: str
    name: str
    value: float
    low: float
    high: float
    unit: str = "x"
    at_most: float | None = None
    at_least: float | None = None
    ours: float | None = None
    reference: float | None = None

    @property
    def target(self) -> str:
        """As the table shows it."""
        if self.at_most is not None:
            return f"≤ {_exact(self.at_most)}"
        return "" if self.at_least is None else f"≥ {_exact(self.at_least)}"

    @property
    def verdict(self) -> str:
        """ "yes" or "no" where there is a target."""
        if not self.target:
            return ""
        held = self.value <= self.at_most if self.at_most is not None else self.value >= (self.at_least or 0)
        return "yes" if held else "NO"


def cost(group: str, name: str, ours: Work, reference: Work, *, at_most: float | None = None, **how: Any) -> Row:
    """How many times the reference's time ours takes: below 1 is faster."""
    return cost_of(group, name, in_turns(ours, reference, **how), at_most=at_most)


def cost_of(group: str, name: str, pairs: list[tuple[float, float]], *, at_most: float | None = None) -> Row:
    """The same of pairs of seconds that were measured already."""
    return _row(group, name, [(a, b, a / b) for a, b in pairs], at_most=at_most)


def gain(group: str, name: str, ours: Work, reference: Work, *, at_least: float | None = None, **how: Any) -> Row:
    """How many times as fast as the reference ours is: above 1 is faster."""
    pairs = in_turns(ours, reference, **how)
    return _row(group, name, [(a, b, b / a) for a, b in pairs], at_least=at_least)


def _row(group: str, name: str, pairs: list[tuple[float, float, float]], **targets: Any) -> Row:
    ours, reference, ratios = zip(*pairs, strict=True)
    value = median(ratios)
    return Row(group, name, value, min(ratios), max(ratios), ours=median(ours), reference=median(reference), **targets)


def in_turns(
    ours: Work, reference: Work, *, pairs: int = 5, warm_up: int = 1, device: str = "cpu"
) -> list[tuple[float, float]]:
    """Seconds of both, A B B A A B …, after a warm-up that does not count."""
    for _ in range(warm_up):
        ours()
        reference()
    found = []
    for number in range(pairs):
        first, second = (ours, reference) if number % 2 == 0 else (reference, ours)
        times = seconds(first, device), seconds(second, device)
        found.append(times if number % 2 == 0 else times[::-1])
    return found


def seconds(work: Work, device: str = "cpu") -> float:
    """Wall time of one call, whatever it returns being gone before the clock stops for nobody."""
    gc.collect()
    if device != "cpu":
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def machine(device: str) -> dict[str, Any]:
    """Where the figures come from."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if device != "cpu" else None,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def write(rows: Iterable[Row], device: str, path: Path) -> None:
    """All rows, and the machine, as JSON."""
    found = {"machine": machine(device), "rows": [asdict(row) | {"holds": row.verdict or None} for row in rows]}
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def markdown(rows: Iterable[Row]) -> str:
    """The table, as docs/performance.md has it."""
    lines = [
        "| what | figure | least to greatest | target | holds | ours, reference |",
        "| :-- | --: | --: | --: | :-: | --: |",
    ]
    for row in rows:
        unit = "×" if row.unit == "x" else f" {row.unit}"
        times = "" if row.ours is None or row.reference is None else f"{_time(row.ours)}, {_time(row.reference)}"
        spread = f"{figure(row.low)} to {figure(row.high)}"
        lines.append(f"| {row.name} | {figure(row.value)}{unit} | {spread} | {row.target} | {row.verdict} | {times} |")
    return "\n".join(lines)


def figure(value: float) -> str:
    """Three digits; from a thousand on all of the whole ones."""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _exact(value: float) -> str:
    return f"{value:g}" if value < 1000 else f"{value:,.0f}"


def _time(value: float) -> str:
    return f"{value:.3g} s" if value >= 1 else f"{1000 * value:.3g} ms"
