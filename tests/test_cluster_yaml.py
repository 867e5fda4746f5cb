"""cluster.yaml against the validator of the installed Ray, and against what it promises."""

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.filterwarnings("default")  # Ray's own, on being imported


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    """What Ray makes of the file."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared: dict[str, Any] = prepare_config(yaml.safe_load((ROOT / "cluster.yaml").read_text()))
    validate_config(prepared)
    return prepared


def workers(config: dict[str, Any]) -> list[dict[str, Any]]:
    return [kind for name, kind in config["available_node_types"].items() if name != config["head_node_type"]]


def test_the_validator_sees_mistakes_at_all() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    broken = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    broken["available_node_types"]["gpu"]["max_worker"] = 3
    with pytest.raises(Exception, match="max_worker"):
        validate_config(prepare_config(broken))


def test_no_trial_runs_on_the_head(config: dict[str, Any]) -> None:
    assert config["available_node_types"][config["head_node_type"]]["resources"] == {"CPU": 0}


def test_gpu_workers_come_from_zero_on_spot_and_go_when_idle(config: dict[str, Any]) -> None:
    assert config["idle_timeout_minutes"] <= 15
    for kind in workers(config):
        assert kind["min_workers"] == 0
        assert 0 < kind["max_workers"] <= config["max_workers"]
        assert kind["resources"]["GPU"] >= 1
        assert kind["node_config"]["InstanceMarketOptions"]["MarketType"] == "spot"


def test_nothing_is_open_to_the_world(config: dict[str, Any]) -> None:
    (head_start,) = [command for command in config["head_start_ray_commands"] if "ray start" in command]
    assert "--dashboard-host=127.0.0.1" in head_start
    assert "0.0.0.0" not in (ROOT / "cluster.yaml").read_text()
    for rule in config["provider"]["security_group"]["IpPermissions"]:
        assert rule["FromPort"] == rule["ToPort"] == 22
        assert all(source["CidrIp"].endswith("/32") for source in rule["IpRanges"])


def test_every_ray_asks_for_the_token(config: dict[str, Any]) -> None:
    starts = config["head_start_ray_commands"] + config["worker_start_ray_commands"]
    assert all("RAY_AUTH_MODE=token" in command for command in starts if "ray start" in command)
    assert config["file_mounts"]["/home/ubuntu/.ray/auth_token"].endswith("/.ray/auth_token")


def test_machines_run_this_checkout_with_the_pinned_ray(config: dict[str, Any]) -> None:
    assert config["file_mounts"]["/home/ubuntu/sweep"] == "."
    (install,) = [command for command in config["setup_commands"] if "pip install" in command]
    assert "-c ~/sweep/constraints.txt" in install
    assert all("pip install" not in line or "~/venv/bin/pip" in line for line in config["head_setup_commands"])
    assert any(line.startswith("ray==") for line in (ROOT / "constraints.txt").read_text().splitlines())
