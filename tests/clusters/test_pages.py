"""Commands and figures of the pages on clusters. What runs them: tests/clusters/test_aws.py, and this file."""

import re
from pathlib import Path

import pytest

from sweep.config.config import sweep_from
from sweep.config.yaml_tree import read_yaml
from sweep.engines.capacity import capacity
from tests.clusters.pages import ELSEWHERE, PAGES, ROOT, commands

ALL = {page: commands(page) for page in PAGES}


def test_every_command_that_one_machine_cannot_run_is_on_a_page() -> None:
    shown = [command for page in ALL.values() for command in page]
    assert [start for start in ELSEWHERE if not any(command.startswith(start) for command in shown)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_of_a_command_is_there(page: Path) -> None:
    named = re.findall(r"\b((?:configs|clusters)/[\w./-]+|[\w-]+\.yaml)", "\n".join(ALL[page]))
    assert [file for file in named if not (ROOT / file).exists()] == []


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
