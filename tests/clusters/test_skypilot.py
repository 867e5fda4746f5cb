"""clusters/skypilot.yaml against SkyPilot's schemas, and what the file promises."""

import json
import re
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from sweep.cli import main
from tests.clusters.pages import ROOT

SCHEMAS = json.loads((ROOT / "tests/clusters/skypilot.schema.json").read_text())
TEXT = (ROOT / "clusters/skypilot.yaml").read_text()


def validate(text: str) -> Any:
    task = yaml.safe_load(text)
    jsonschema.validate(task, SCHEMAS["task"])
    jsonschema.validate(task["resources"], SCHEMAS["resources"])
    return task


def test_skypilot_knows_every_key() -> None:
    validate(TEXT)


@pytest.mark.parametrize(
    ("right", "wrong"), [("use_spot", "use_spots"), ("workdir", "work_dir"), ("disk_size: 150", "disk_size: big")]
)
def test_a_mistake_is_seen(right: str, wrong: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        validate(TEXT.replace(right, wrong))


def test_a_worker_is_a_spot_machine_with_one_gpu_and_the_cores_of_four_trials() -> None:
    resources = validate(TEXT)["resources"]
    assert resources["use_spot"] is True
    assert set(resources["accelerators"].values()) == {1}
    assert int(resources["cpus"].removesuffix("+")) >= 4 * 2


def test_the_worker_runs_a_command_that_exists() -> None:
    task = validate(TEXT)
    assert task["envs"]["STORE"] is None  # to be given
    assert (ROOT / task["envs"]["CONFIG"]).exists()
    [options] = re.findall(r"sweep (launch .*)", task["run"])
    words = [word for word in options.split() if word.startswith("--") and "STORE" not in word]
    known = {option for parameter in main.commands["launch"].params for option in parameter.opts}
    assert {"--local", "--jobs", "--store"} <= set(words) <= known | {"--env"}
