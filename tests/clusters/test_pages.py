"""Commands and figures of the pages on clusters. What runs them: tests/clusters/test_aws.py, and this file."""

import re
import shlex
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sweep.config.config import sweep_from
from sweep.config.yaml_tree import read_yaml
from sweep.engines.capacity import capacity
from sweep.records import Outcome, SweepRecord
from sweep.store import Store
from tests.clusters.own_ray import own_ray
from tests.clusters.pages import ELSEWHERE, PAGES, ROOT, Shell, commands, runs_here

TINY = """
name: tiny
data: digits
grid: {architecture: vgg_digits, method: random, sparsity: 0.9, seed: 0}
training: {epochs: 1}
tracking: {enabled: false}
"""

ALL = {page: commands(page) for page in PAGES}
AWS = ROOT / "docs/cluster/aws.md"  # all of its commands: tests/clusters/test_aws.py
CLUSTER = ROOT / "docs/cluster.md"
STORE = re.compile(r"(s3|gs)://[\w$-]+/sweeps|/shared/results")

# Those of all other pages that one machine can run: on the store of a sweep, and on a Ray of one's own.
HERE = list(dict.fromkeys(c for page, shown in ALL.items() if page != AWS for c in shown if runs_here(c)))
ON_A_STORE = [c for c in HERE if c.startswith("sweep ") and not c.startswith("sweep launch")]
ON_A_CLUSTER = [c for c in HERE if c not in ON_A_STORE]


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """In a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return Shell()


@pytest.mark.slow
def test_every_command_on_a_store_runs(shell: Shell, outcome: Callable[..., Outcome]) -> None:
    store = Store("results")
    store.write(outcome("0" * 16, sweep="cifar10"))
    store.write_sweep(SweepRecord("cifar10", "{}", ("0" * 16,), datetime.now(UTC)))
    assert {command.split()[1] for command in ON_A_STORE} == {"status", "report", "stop", "cancel"}
    for command in ON_A_STORE:
        local, changed = STORE.subn("results", command)
        assert changed == 1, command
        shell.run(local)


@pytest.mark.slow
def test_every_command_for_machines_of_ones_own_runs(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the page's order but for the launch, which needs the machines."""
    exports = [command for command in ON_A_CLUSTER if command.startswith("export ")]
    launch, token, head, node = (command for command in ON_A_CLUSTER if command not in exports)
    with own_ray(monkeypatch) as ray:
        shell.run(token)
        shell.run(ray.localised(head) + " --num-cpus=0")
        shell.run(ray.localised(node) + " --num-cpus=1")
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{ray.port}")  # "auto" may mean another Ray of this machine
        Path("tiny.yaml").write_text(TINY)
        shell.run(STORE.sub("results", launch).replace("configs/cifar10.yaml", "tiny.yaml"))
        deadline = time.monotonic() + 200
        while not Store("results").completed() and time.monotonic() < deadline:
            time.sleep(0.2)
        assert len(Store("results").completed()) == 1


def test_ray_understands_the_commands_for_jobs() -> None:
    from ray.dashboard.modules.job.cli import job_cli_group

    shown = [shlex.split(command) for command in ALL[CLUSTER] if command.startswith("ray job")]
    assert [command[2] for command in shown] == ["submit", "logs"]
    for _, _, name, *arguments in shown:
        job_cli_group.commands[name].make_context(name, arguments)


def test_every_command_that_one_machine_cannot_run_is_on_a_page() -> None:
    shown = [command for page in ALL.values() for command in page]
    assert [start for start in ELSEWHERE if not any(command.startswith(start) for command in shown)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_of_a_command_is_there(page: Path) -> None:
    named = re.findall(r"\b((?:configs|clusters)/[\w./-]+|[\w-]+\.yaml)", "\n".join(ALL[page]))
    assert [file for file in named if not (ROOT / file).exists() and file != "mine.yaml"] == []  # that one is yours


def test_the_table_of_trials_at_once_is_what_the_arithmetic_says() -> None:
    page = (ROOT / "docs/cluster.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\w, ]+) \| (auto|[\d.]+) \| (\d+) \| (\d+) \| (\d+) \|$", page, re.MULTILINE)
    told = {}
    for names, share, cpus, *at_once in rows:
        for name in names.split(", "):
            told[name] = (share, int(cpus), *map(int, at_once))
    for file in sorted((ROOT / "configs").glob("*.yaml")):
        compute = sweep_from(read_yaml(file)).compute
        counts = [capacity(compute, cores, gpus=1, share=1 / 64) for cores in (8, 16)]
        if None not in counts:
            trials = tuple(count.trials for count in counts)
            assert told.pop(file.stem) == (
                str(compute.gpus_per_trial).removesuffix(".0"),
                compute.cpus_per_trial,
                *trials,
            )
    assert not told
