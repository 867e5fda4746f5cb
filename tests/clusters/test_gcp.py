"""clusters/gcp.yaml: Ray's validator, Google's own schema of machines, and what the file promises."""

import json
from pathlib import Path
from typing import Any

import googleapiclient
import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from sweep.config.compute import Compute
from sweep.engines.capacity import capacity
from tests.clusters.pages import ROOT
from tests.clusters.ray_files import as_ray_reads

FILE = ROOT / "clusters/gcp.yaml"

pytestmark = pytest.mark.filterwarnings("default")  # Ray's own, on being imported


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    """What Ray makes of the file."""
    return as_ray_reads(FILE)


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    """Google's description of Compute Engine, as its Python client has it."""
    documents = Path(googleapiclient.__file__).parent / "discovery_cache/documents"
    described: dict[str, Any] = json.loads((documents / "compute.v1.json").read_text())["schemas"]
    return described


def json_schema(described: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """The same as JSON Schema. Google refers to other schemas by their name alone, and means that objects have no other keys."""
    if "$ref" in described:
        return json_schema(schemas[described["$ref"]], schemas)
    schema: dict[str, Any] = {key: described[key] for key in ("type", "enum") if key in described}
    if described.get("format") == "int64":  # as a string or a number
        schema["type"] = ["string", "integer"]
    if "properties" in described:
        schema["properties"] = {key: json_schema(value, schemas) for key, value in described["properties"].items()}
        schema["additionalProperties"] = False
    if "items" in described:
        schema["items"] = json_schema(described["items"], schemas)
    return schema


def test_google_knows_every_key_of_a_machine(config: dict[str, Any], schemas: dict[str, Any]) -> None:
    instance = json_schema({"$ref": "Instance"}, schemas)
    for kind in config["available_node_types"].values():
        jsonschema.validate(kind["node_config"], instance)
    worker = config["available_node_types"]["gpu"]["node_config"]
    for mistake in ({"schedulings": {}}, {"scheduling": {"provisioningModel": "SPOTS"}}, {"disks": {}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(worker | mistake, instance)


def test_workers_come_from_zero_on_spot_and_go_when_idle(config: dict[str, Any]) -> None:
    worker = config["available_node_types"]["gpu"]
    assert worker["min_workers"] == 0 < worker["max_workers"] == config["max_workers"]
    assert worker["node_config"]["scheduling"]["provisioningModel"] == "SPOT"
    assert config["available_node_types"][config["head_node_type"]]["resources"] == {"CPU": 0}
    assert config["idle_timeout_minutes"] <= 15


def test_a_worker_has_room_for_the_four_trials_that_the_file_tells(config: dict[str, Any]) -> None:
    worker = config["available_node_types"]["gpu"]
    resources = worker["resources"]
    assert worker["node_config"]["machineType"] == f"g2-standard-{resources['CPU']}"
    assert "four trials with cpus_per_trial 2 and gpus_per_trial 0.25" in FILE.read_text()
    assert capacity(Compute(cpus_per_trial=2, gpus_per_trial=0.25), resources["CPU"], resources["GPU"]).trials == 4


def test_the_zone_is_the_same_everywhere(config: dict[str, Any]) -> None:
    zone = config["provider"]["availability_zone"]
    assert zone.startswith(config["provider"]["region"])
    for kind in config["available_node_types"].values():
        assert f"zones/{zone}/" in kind["node_config"]["disks"][0]["initializeParams"]["diskType"]


def test_both_files_for_rays_launcher_start_ray_in_the_same_way(config: dict[str, Any]) -> None:
    other = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    for key in ("head_start_ray_commands", "file_mounts", "initialization_commands"):
        assert config[key] == other[key]
    assert config["worker_start_ray_commands"] == other["worker_start_ray_commands"][:2]  # the third is AWS's notices
