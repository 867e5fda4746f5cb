"""cluster.yaml: Ray's validator, what the file promises, and Ray's launcher against a server that answers as AWS does."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.exceptions import ClientError
from click import ClickException
from ray.autoscaler._private.aws.utils import client_cache, resource_cache
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.autoscaler.node_launch_exception import NodeLaunchException
from ray.autoscaler.tags import TAG_RAY_NODE_KIND, TAG_RAY_USER_NODE_TYPE
from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig
from ray.autoscaler.v2.instance_manager.subscribers.cloud_resource_monitor import CloudResourceMonitor
from ray.core.generated import instance_manager_pb2

from sweep.config.compute import Compute
from sweep.config.config import sweep_from
from sweep.config.yaml_tree import read_yaml
from sweep.engines.capacity import capacity
from sweep.engines.on_ray.aws import FallbackNodeProvider
from sweep.records import Outcome
from sweep.store import Store
from tests.clusters.pages import ROOT, Shell, commands, runs_here
from tests.clusters.ray_files import as_ray_reads

FILE, PAGE = ROOT / "cluster.yaml", ROOT / "docs/cluster/aws.md"

pytestmark = pytest.mark.filterwarnings("default")  # Ray's own, on being imported


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    """What Ray makes of the file."""
    return as_ray_reads(FILE)


def workers(config: dict[str, Any]) -> list[dict[str, Any]]:
    return [kind for name, kind in config["available_node_types"].items() if name != config["head_node_type"]]


def kinds(config: dict[str, Any]) -> list[dict[str, Any]]:
    """Every kind of machine that a worker may be."""
    [worker] = workers(config)
    return [worker["node_config"] | change for change in [{}, *config["provider"]["fallbacks"]]]


def test_the_validator_sees_mistakes_at_all() -> None:
    broken = yaml.safe_load(FILE.read_text())
    broken["available_node_types"]["gpu"]["max_worker"] = 3
    with pytest.raises(Exception, match="max_worker"):
        validate_config(prepare_config(broken))


def test_no_trial_runs_on_the_head(config: dict[str, Any]) -> None:
    assert config["available_node_types"][config["head_node_type"]]["resources"] == {"CPU": 0}


def test_gpu_workers_come_from_zero_and_go_when_idle(config: dict[str, Any]) -> None:
    assert config["idle_timeout_minutes"] <= 15
    [worker] = workers(config)
    assert worker["min_workers"] == 0 < worker["max_workers"] == config["max_workers"]


def test_spot_machines_of_three_types_in_three_zones_come_before_an_on_demand_one(config: dict[str, Any]) -> None:
    *spot, last = kinds(config)
    assert len({kind["InstanceType"] for kind in spot}) == 3
    assert all(kind["InstanceMarketOptions"] == {"MarketType": "spot"} for kind in spot)
    assert last["InstanceMarketOptions"] is None
    zones = config["provider"]["availability_zone"].split(",")
    assert len(zones) == 3 and all(zone.startswith(config["provider"]["region"]) for zone in zones)


def test_the_dashboard_is_open_to_no_other_machine(config: dict[str, Any]) -> None:
    [head_start] = [command for command in config["head_start_ray_commands"] if "ray start" in command]
    assert "--dashboard-host=127.0.0.1" in head_start
    assert "0.0.0.0" not in FILE.read_text()


def test_every_ray_asks_for_the_token(config: dict[str, Any]) -> None:
    starts = config["head_start_ray_commands"] + config["worker_start_ray_commands"]
    assert all("RAY_AUTH_MODE=token" in command for command in starts if "ray start" in command)
    assert config["file_mounts"]["/home/ubuntu/.ray/auth_token"].endswith("/.ray/auth_token")


def test_machines_run_this_checkout_with_the_pinned_ray(config: dict[str, Any]) -> None:
    assert config["file_mounts"]["/home/ubuntu/sweep"] == "."
    [install] = [command for command in config["setup_commands"] if "pip install" in command]
    assert "-c ~/sweep/constraints.txt -e ~/sweep" in install
    assert any(line.startswith("ray==") for line in (ROOT / "constraints.txt").read_text().splitlines())


def trials_at_once(file: Path, cores: int, share: float = 0.25) -> int | None:
    """How many trials of a shipped config run on one GPU with so many cores; None for a config that asks for no GPU."""
    at_once = capacity(sweep_from(read_yaml(file)).compute, cores, 1, share)
    return at_once.trials if at_once else None


def test_the_cores_of_a_worker_are_enough_for_four_trials_as_the_file_says(config: dict[str, Any]) -> None:
    resources = workers(config)[0]["resources"]
    assert "four trials with cpus_per_trial 2 and gpus_per_trial 0.25" in FILE.read_text()
    assert capacity(Compute(cpus_per_trial=2, gpus_per_trial=0.25), resources["CPU"], resources["GPU"]).trials == 4
    assert trials_at_once(ROOT / "configs/cifar10.yaml", resources["CPU"]) == 4


@pytest.fixture(scope="module")
def account(aws: Path) -> Iterator[Shell]:
    """An account as the page prepares it. Afterwards the page's other commands clean it up."""
    shell, shown = Shell(), [command for command in commands(PAGE) if runs_here(command)]
    start = next(at for at, command in enumerate(shown) if command.startswith("sweep status"))
    for command in shown[:start]:
        shell.run(command)
    for cache in (resource_cache, client_cache):  # of other addresses
        cache.cache_clear()
    yield shell
    for cache in (resource_cache, client_cache):
        cache.cache_clear()


def launch(provider: FallbackNodeProvider, ready: dict[str, Any], kind: str, count: int = 1) -> list[dict[str, Any]]:
    tags = {TAG_RAY_NODE_KIND: "head" if kind == "head" else "worker", TAG_RAY_USER_NODE_TYPE: kind}
    made = provider.create_node(ready["available_node_types"][kind]["node_config"], tags, count)
    found = boto3.client("ec2").describe_instances(InstanceIds=list(made))
    return [instance for reservation in found["Reservations"] for instance in reservation["Instances"]]


def kind_of(instance: dict[str, Any]) -> tuple[str, str]:
    return instance["InstanceType"], instance.get("InstanceLifecycle", "on demand")


def refuse(provider: FallbackNodeProvider, refused: set[tuple[str, str]]) -> list[tuple[str, str, str]]:
    """Let AWS answer requests for these kinds as where it has none left. The type, market and zone of all that were asked."""
    ec2 = boto3.client("ec2")
    zones = {subnet["SubnetId"]: subnet["AvailabilityZone"] for subnet in ec2.describe_subnets()["Subnets"]}
    asked = []

    def answer(params: dict[str, Any], **_: Any) -> None:
        market = params.get("InstanceMarketOptions", {}).get("MarketType", "on demand")
        asked.append((params["InstanceType"], market, zones[params["SubnetId"]]))
        if (params["InstanceType"], market) in refused:
            reason = {"Code": "InsufficientInstanceCapacity", "Message": "There is no capacity available"}
            raise ClientError({"Error": reason}, "RunInstances")

    provider.ec2_fail_fast.meta.client.meta.events.register("provide-client-params.ec2.RunInstances", answer)
    return asked


@pytest.mark.slow
def test_the_launcher_starts_what_the_file_names_and_the_next_kind_where_aws_refuses_one(
    account: Shell, config: dict[str, Any], aws: Path, outcome: Callable[..., Outcome]
) -> None:
    ec2 = boto3.client("ec2")
    ready = FallbackNodeProvider.bootstrap_config(config)
    assert AutoscalingConfig(ready).get_node_type_configs()["gpu"].max_worker_nodes == 8  # autoscaler v2 reads it
    provider = FallbackNodeProvider(ready["provider"], ready["cluster_name"])
    asked = refuse(provider, refused := set())
    [head] = launch(provider, ready, "head")
    assert kind_of(head) == ("m7i.large", "on demand")
    assert head["IamInstanceProfile"]["Arn"].endswith("/sweep-head")
    granted, rest = launch(provider, ready, "gpu", 2)  # this server grants one machine a request
    assert (kind_of(granted), kind_of(rest)) == (("g6.2xlarge", "spot"), ("g5.2xlarge", "spot"))
    assert granted["IamInstanceProfile"]["Arn"].endswith("/sweep-worker")

    refused.add(("g6.2xlarge", "spot"))
    asked.clear()
    [worker] = launch(provider, ready, "gpu")
    assert kind_of(worker) == ("g5.2xlarge", "spot")
    zones = ready["provider"]["availability_zone"].split(",")
    assert [zone for _, _, zone in asked][:3] == zones  # all zones, then the next kind
    refused |= {("g5.2xlarge", "spot"), ("g6e.2xlarge", "spot")}
    [worker] = launch(provider, ready, "gpu")
    assert kind_of(worker) == ("g6.2xlarge", "on demand")

    refused.add(("g6.2xlarge", "on demand"))
    with pytest.raises(NodeLaunchException) as refusal:
        launch(provider, ready, "gpu")
    every = "g6.2xlarge, spot; g5.2xlarge, spot; g6e.2xlarge, spot; g6.2xlarge, on demand"
    assert refusal.value.category == "InsufficientInstanceCapacity"
    assert refusal.value.description == f"InsufficientInstanceCapacity ({every}): There is no capacity available"
    refused.clear()
    asked.clear()
    refused.add(("m7i.large", "on demand"))
    with pytest.raises(NodeLaunchException, match="no capacity"):
        launch(provider, ready, "head")
    assert {kind for kind, _, _ in asked} == {"m7i.large"}  # the head has no fallbacks

    [group] = head["SecurityGroups"]
    rules = ec2.describe_security_groups(GroupIds=[group["GroupId"]])["SecurityGroups"][0]["IpPermissions"]
    outside = [(rule["FromPort"], source["CidrIp"]) for rule in rules for source in rule["IpRanges"]]
    assert outside == [(22, "203.0.113.7/32")]  # Ray left the group as it was
    assert [pair["GroupId"] for rule in rules for pair in rule["UserIdGroupPairs"]] == [group["GroupId"]]

    resources = workers(config)[0]["resources"]  # every kind has what the file promises
    types = sorted({kind["InstanceType"] for kind in kinds(config)})
    for machine in ec2.describe_instance_types(InstanceTypes=types)["InstanceTypes"]:
        assert machine["VCpuInfo"]["DefaultVCpus"] == resources["CPU"]
        assert sum(gpu["Count"] for gpu in machine["GpuInfo"]["Gpus"]) == resources["GPU"]

    open_group = config | {"provider": config["provider"] | {"security_group": {"GroupName": "made-by-ray"}}}
    with pytest.raises(ClickException, match="sg-.* lets the whole internet in"):
        FallbackNodeProvider.bootstrap_config(open_group)

    Store("s3://my-bucket/sweeps").write(outcome("0" * 16))  # as a launch does
    shown = [command for command in commands(PAGE) if runs_here(command)]
    for command in shown[len(account.ran) :]:
        if command.startswith("aws ec2 delete-security-group"):  # "ray down" ends the machines first
            provider.terminate_nodes(provider.non_terminated_nodes({}))
        account.run(command)
    assert [
        role["RoleName"] for role in boto3.client("iam").list_roles()["Roles"] if "sweep-" in role["RoleName"]
    ] == []
    assert "my-bucket" not in [bucket["Name"] for bucket in boto3.client("s3").list_buckets()["Buckets"]]
    assert (aws / "results/trials").exists()


def test_rays_autoscaler_forgets_a_refusal_so_that_the_fallbacks_are_needed() -> None:
    messages: Any = instance_manager_pb2
    refused = messages.InstanceUpdateEvent(
        instance_id="1", instance_type="gpu", new_instance_status=messages.Instance.ALLOCATION_FAILED
    )
    monitor = CloudResourceMonitor()
    monitor.notify([refused])
    assert monitor.get_resource_availabilities() == {}, "Ray falls back by itself now: is sweep's provider needed?"


@pytest.mark.parametrize("file", sorted((ROOT / "clusters/aws").glob("*.json")), ids=lambda file: file.name)
def test_aws_accepts_the_policy(file: Path, aws: Path) -> None:
    def create(name: str, text: str) -> None:
        if "Principal" in text:
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=text)
            iam.update_assume_role_policy(RoleName=name, PolicyDocument=text)  # which this server checks
        else:
            iam.create_policy(PolicyName=name, PolicyDocument=text.replace("BUCKET", "my-bucket"))

    iam, text = boto3.client("iam"), file.read_text()
    create(f"accepted-{file.stem}", text)
    with pytest.raises(ClientError, match="MalformedPolicyDocument"):
        create(f"broken-{file.stem}", text.replace('"Allow"', '"allow"'))


def test_the_head_may_pass_the_workers_role_and_no_other_and_end_only_its_own_machines(config: dict[str, Any]) -> None:
    [worker] = workers(config)
    allowed = {rule["Sid"]: rule for rule in json.loads((ROOT / "clusters/aws/head.json").read_text())["Statement"]}
    passed = allowed["GiveWorkersTheirRole"]
    assert passed["Action"] == "iam:PassRole"
    assert passed["Resource"].endswith(f":role/{worker['node_config']['IamInstanceProfile']['Name']}")
    ended = allowed["EndMachinesOfThisCluster"]
    assert ended["Condition"] == {"StringEquals": {"aws:ResourceTag/ray-cluster-name": config["cluster_name"]}}
    image = worker["node_config"]["ImageId"].removeprefix("resolve:ssm:")
    assert image.startswith(allowed["FindTheImage"]["Resource"].partition("::parameter")[2].removesuffix("*"))
