"""A launch of many trivial trials, in a process that tells what it took: ``python -m benchmarks.many_trials TRIALS``.

A trial of it trains one layer on a twentieth of digits for an epoch, which takes a core some hundredths of a second.
"""

import json
import os
import resource
import sys
import tempfile
from dataclasses import dataclass, field, fields
from pathlib import Path
from time import perf_counter
from typing import Any

EVERY = 100  # ends of trials between two looks at all processes
NETWORK = """
from torch import nn

def one_layer(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))
"""


def config(trials: int) -> dict[str, Any]:
    """The config of a sweep of so many trivial trials."""
    return {
        "name": "many",
        "data": {"name": "digits", "train": 0.05},
        "grid": {"architecture": "trivial:one_layer", "method": "random", "sparsity": 0.5, "seed": list(range(trials))},
        "pruning": {"batch_size": 64},
        "training": {"epochs": 1, "batch_size": 64},
        "tracking": {"enabled": False},
    }


@dataclass
class Meter:
    """A watcher that notes, at each end of a trial, what the launching process has taken so far.

    Attributes:
        at: seconds since it was made.
        megabytes: of memory that the process holds.
        cpu: seconds of all its threads.
        own: seconds of the trial.
        family: CPU seconds of this process and all below it, Ray's and its workers, at every hundredth end.
    """

    at: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    family: list[float] = field(default_factory=list)
    start: float = field(default_factory=perf_counter)

    def started(self, trial: Any) -> None:
        """Nothing."""

    def epoch(self, record: Any) -> None:
        """Nothing."""

    def finished(self, record: Any) -> None:
        """Note it."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        self.at.append(perf_counter() - self.start)
        self.megabytes.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
        self.cpu.append(usage.ru_utime + usage.ru_stime)
        self.own.append(record.seconds or 0.0)
        if len(self.own) % EVERY == 0:
            self.family.append(_family_cpu())


def _family_cpu() -> float:
    """CPU seconds of this process and the living ones below it."""
    parents, seconds = dict[int, int](), dict[int, float]()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            values = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        number = int(process.name)
        parents[number], seconds[number] = int(values[1]), sum(map(int, values[11:13])) / os.sysconf("SC_CLK_TCK")
    family = {os.getpid()}
    while more := {number for number, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(seconds[number] for number in family)


def main(trials: int) -> None:
    """Launch them on Ray and print the meter as JSON."""
    from rich.console import Console

    from sweep.config.config import sweep_from
    from sweep.config.yaml_tree import plain
    from sweep.engines import Watchers, choose
    from sweep.launch.run import run_sweep

    meter, ray = Meter(), choose()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        sys.path.insert(0, folder)
        Path("trivial.py").write_text(NETWORK, encoding="utf-8")
        sweep = sweep_from(plain(config(trials) | {"store": f"{folder}/store"}, "benchmarks"), default_name="many")
        with open(os.devnull, "w", encoding="utf-8") as nowhere:
            run_sweep(
                sweep,
                lambda sweep, trials, claims, watcher, stop: ray(
                    sweep, trials, claims, Watchers([watcher, meter]), stop
                ),
                Console(file=nowhere),
            )
    lists = {each.name: getattr(meter, each.name) for each in fields(meter) if each.name != "start"}
    print(json.dumps(lists))


if __name__ == "__main__":
    main(int(sys.argv[1]))
