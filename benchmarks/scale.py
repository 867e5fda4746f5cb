"""Thousands of trials: what the engine and the launching process take for each, commands on all, requests to S3."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from benchmarks import many_trials
from benchmarks.measure import Row, Setup
from sweep.config.config import sweep_from
from sweep.config.grid import expand
from sweep.config.trial_config import TrialConfig
from sweep.config.yaml_tree import plain
from sweep.launch.plan import plan, record_sweep
from sweep.records import COMPLETED, Outcome, TrialRecord
from sweep.store import Store
from sweep.store.folding import fold
from sweep.trial.record_fields import config_fields

TRIALS, WARM = 3000, many_trials.EVERY  # of a launch, and after how many the memory of its process is compared with
COMMANDS = 10_000  # trials of `plan` and `status`
FOLD = 500  # of them in a fold
ON_S3 = (25, 100)  # trials of a launch
CORES = 2  # on which the engine runs trials

# Runs a command twice in a process, so that imports do not count: on one trial, then on all
TIMED = """
import sys, time
from sweep.cli import main
def run(arguments):
    start = time.perf_counter(), time.process_time()
    main(arguments, standalone_mode=False)
    return time.perf_counter() - start[0], time.process_time() - start[1]
one, all = (part.split() for part in sys.argv[1:])
run(one)
print(*run(all), file=sys.stderr)
"""


def run(setup: Setup) -> Iterator[Row]:
    """All rows; nothing here depends on the device. ``full`` launches ten times as many trials on S3."""
    if setup.device != "cpu":
        return
    yield from of_a_launch(TRIALS)
    yield from of_commands(COMMANDS)
    yield from on_s3([number * (10 if setup.full else 1) for number in ON_S3])


def of_a_launch(trials: int) -> Iterator[Row]:
    """A launch of so many trivial trials on Ray: seconds and memory."""
    command = [sys.executable, "-m", "benchmarks.many_trials", str(trials)]
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    meter = many_trials.Meter(**json.loads(text))
    assert len(meter.at) == trials
    number, load = trials - WARM, f"load average {os.getloadavg()[0]:.0f}"
    wall, own = meter.at[-1] - meter.at[WARM - 1], sum(meter.own[WARM:])
    name = f"{trials} trivial trials on {CORES} cores"
    yield _row(f"{name}: engine, wall time a trial ({load})", wall / number - own / number / CORES, "s", at_most=0.1)
    yield _row(f"{name}: a trial's own time ({load})", own / number, "s")
    yield _row(
        f"{name}: CPU time a trial of the launching process", (meter.cpu[-1] - meter.cpu[WARM - 1]) / number, "s"
    )
    everything = meter.family[-1] - meter.family[0]
    yield _row(f"{name}: CPU time a trial of all processes, the trial's own included", everything / number, "s")
    growth = meter.megabytes[-1] - meter.megabytes[WARM - 1]
    yield _row(f"{name}: growth of the launching process, trial {WARM} to the last", growth, "MB", at_most=60)


def of_commands(trials: int) -> Iterator[Row]:
    """`plan` and `status` on so many trials, all of them stored, after imports."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {}
        for name, number in (("one", 1), ("all", trials)):
            config = many_trials.config(number)
            config["grid"] |= {"architecture": "vgg_digits"}
            path = Path(folder) / f"{name}.yaml"
            path.write_text(yaml.safe_dump(config | {"store": f"{folder}/{name}"}), encoding="utf-8")
            sweep, opened = sweep_from(plain(config, str(path)), default_name=name), Store(f"{folder}/{name}")
            _complete(opened, expand(sweep))
            record_sweep(plan(sweep, opened), opened)
            paths[name] = path
        for command in ("plan {path}", "plan {path} --json", "status --store {store}", "status --store {store} --json"):
            lines = [command.format(path=path, store=path.with_suffix("")) for path in paths.values()]
            pairs = [_seconds_after_imports(lines) for _ in range(3)]
            name = f"sweep {command.split()[0]}{' --json' if '--json' in command else ''}, {trials} trials"
            for what, found, target in zip(("wall time", "CPU time"), zip(*pairs, strict=True), (3, None), strict=True):
                low, middle, high = sorted(found)
                yield Row("scale", f"{name}, after imports, {what}", middle, low, high, unit="s", at_most=target)


def _complete(store: Store, trials: Sequence[TrialConfig]) -> None:
    """Store a completed row for each trial, and fold them: writing lists the files that are not folded yet."""
    for start in range(0, len(trials), FOLD):
        for trial in trials[start : start + FOLD]:
            record = TrialRecord(**config_fields(trial), sweep="many", status=COMPLETED, test_accuracy=0.5)
            store.write(Outcome(record))
        fold(store)


def _seconds_after_imports(lines: list[str]) -> tuple[float, float]:
    """Wall and CPU seconds of the second of two commands in one process."""
    command = [sys.executable, "-c", TIMED, *lines]
    ended = subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wall, cpu = map(float, ended.stderr.split()[-2:])
    return wall, cpu


def on_s3(numbers: list[int]) -> Iterator[Row]:
    """Requests of a launch to S3, by the number of its trials."""
    for number in numbers:
        with tempfile.TemporaryDirectory() as folder, _moto(Path(folder) / "requests") as server:
            (Path(folder) / "trivial.py").write_text(many_trials.NETWORK, encoding="utf-8")
            path = Path(folder) / "many.yaml"
            config = many_trials.config(number) | {"store": f"s3://key:secret@bucket/store?{server.options}"}
            path.write_text(yaml.safe_dump(config), encoding="utf-8")
            Store(config["store"]).files.fs.create_dir("bucket")
            before = server.listings(), server.requests()
            command = [str(Path(sys.executable).with_name("sweep")), "launch", str(path), "--local"]
            subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, env=server.environment)
            listings, requests = server.listings() - before[0], server.requests() - before[1]
        yield _row(f"{number} trials on S3: listings a trial", listings / number, "")
        yield _row(f"{number} trials on S3: requests a trial, listings included", requests / number, "")


class _Server:
    """A running moto server, which writes a line for each request into a file."""

    def __init__(self, port: str, log: Path):
        self._log = log
        self.options = (
            f"endpoint_override=http%3A%2F%2F127.0.0.1:{port}&scheme=http&region=us-east-1&allow_bucket_creation=true"
        )
        self.environment = os.environ | {"AWS_EC2_METADATA_DISABLED": "true"}

    def requests(self) -> int:
        return self._lines("HTTP/1.1")

    def listings(self) -> int:
        return self._lines("list-type=2")

    def _lines(self, part: str) -> int:
        return sum(part in line for line in self._log.read_text(encoding="utf-8").splitlines())


@contextmanager
def _moto(log: Path) -> Iterator[_Server]:
    """A server of S3's protocol on this machine."""
    with open(log, "w", encoding="utf-8") as lines:
        command = [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", "0"]
        process = subprocess.Popen(command, stdout=lines, stderr=subprocess.STDOUT)
        try:
            yield _Server(_port(log), log)
        finally:
            process.kill()
            process.wait()


def _port(log: Path) -> str:
    """The port that the server says it listens at."""
    while "Running on http://127.0.0.1:" not in log.read_text(encoding="utf-8"):
        time.sleep(0.1)
    return log.read_text(encoding="utf-8").partition("Running on http://127.0.0.1:")[2].split()[0]


def _row(name: str, value: float, unit: str, **targets: Any) -> Row:
    return Row("scale", name, value, value, value, unit=unit, **targets)
