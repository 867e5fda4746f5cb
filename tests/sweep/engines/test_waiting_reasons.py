"""Why trials wait, in words: from what clusters of all sorts report."""

from typing import Any

import pytest
import yaml

from sweep.engines.on_ray.autoscaler_log import AutoscalerLog, config_in, parse
from sweep.engines.on_ray.waiting import Asked, ClusterState, Kind, Node, reason, refusal

GPU, LARGE, HEAD = Kind("gpu", {"CPU": 4, "GPU": 1}, 2), Kind("large", {"CPU": 16, "GPU": 8}, 1), Kind("head", {}, 0)
NEED = {"CPU": 1, "GPU": 0.5}
NOON = 1_795_867_200.0


def node(kind: Kind, free: float = 0.0) -> Node:
    return Node(kind.name, kind.resources, {name: free * number for name, number in kind.resources.items()})


def state(*nodes: Node, **facts: Any) -> ClusterState:
    return ClusterState([node(HEAD), *nodes], **({"kinds": [GPU]} | facts))


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


@pytest.mark.parametrize(
    ("cluster", "need", "words"),
    [
        (
            state(),
            {"CPU": 1, "GPU": 2},
            "no kind of machine of this cluster has 1 CPU and 2 GPUs (gpu: 4 CPUs and 1 GPU)",
        ),
        (
            state(node(GPU), node(GPU)),
            NEED,
            "the cluster is at its maximum (max_workers: 2 of gpu), and all that fits is in use",
        ),
        (
            state(node(GPU), node(GPU), kinds=[GPU, LARGE], most=2),
            NEED,
            "the cluster is at its maximum (max_workers: 2), and all that fits is in use",
        ),
        (
            state(node(GPU), node(LARGE, free=0.5), kinds=[GPU, LARGE], most=9),
            {"CPU": 16, "GPU": 8},
            "the cluster is at its maximum (max_workers: 1 of large), and all that fits is in use",
        ),
        (
            state(asked={"gpu": Asked(2, NOON)}),
            NEED,
            "2 machines of gpu are asked for since 12:00 and not there yet",
        ),
        (
            state(asked={"gpu": Asked(1, NOON)}, starting={"gpu": Asked(1, NOON - 120)}),
            NEED,
            "1 machine of gpu is booting or being set up since 11:58; 1 machine of gpu is asked for since 12:00 and not"
            " there yet",
        ),
        (
            state(refused={"gpu": "(VcpuLimitExceeded): 0 vCPUs"}, asked={"gpu": Asked(1, NOON)}),
            NEED,
            "the cloud refuses machines of gpu (over a quota: (VcpuLimitExceeded): 0 vCPUs)",
        ),
        (
            state(broken={"gpu": "exit code 1"}, starting={"gpu": Asked(1, NOON)}),
            NEED,
            "the set-up of machines of gpu fails (exit code 1; see: ray monitor cluster.yaml)",
        ),
        (
            state(refused={"gpu": "no"}, asked={"large": Asked(1, NOON)}, kinds=[GPU, LARGE]),
            NEED,
            "the cloud refuses machines of gpu (no); 1 machine of large is asked for since 12:00 and not there yet",
        ),
        (state(), NEED, "the autoscaler has not asked for a machine yet; if this stays, see: ray monitor cluster.yaml"),
        (state(node(GPU, free=1)), NEED, "machines have room, and processes for trials are starting there"),
        (
            state(node(GPU), node(GPU), kinds=()),
            NEED,
            "8 of 8 CPUs and 2 of 2 GPUs are in use; this cluster has no autoscaler",
        ),
        (
            state(node(GPU), kinds=()),
            {"CPU": 8},
            "no machine of this cluster has 8 CPUs, and it has no autoscaler",
        ),
        (
            state(kinds=None, refused={"gpu": ""}),
            NEED,
            "the cloud refuses machines of gpu (it gave no reason)",
        ),
        (
            state(node(GPU), kinds=None),
            NEED,
            "4 of 4 CPUs and 1 of 1 GPUs are in use; the autoscaler has not asked for a machine yet",
        ),
    ],
)
def test_each_state_of_a_cluster_has_a_sentence(cluster: ClusterState, need: dict[str, float], words: str) -> None:
    assert reason(cluster, need) == words


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("(InsufficientInstanceCapacity): We currently do not have sufficient g5.xlarge capacity", "out of capacity"),
        ("The zone 'us-west1-b' does not have enough resources: ZONE_RESOURCE_POOL_EXHAUSTED", "out of capacity"),
        ("(SkuNotAvailable) The requested VM size is currently not available", "out of capacity"),
        ("(VcpuLimitExceeded): You have requested more vCPU capacity than your limit", "over a quota"),
        ("(MaxSpotInstanceCountExceeded): Max spot instance count exceeded", "over a quota"),
        ("Quota 'NVIDIA_L4_GPUS' exceeded. Limit: 1.0 in region us-central1.", "over a quota"),
        ("exceeded quota: gpus, requested: nvidia.com/gpu=1, used: 4, limited: 4", "over a quota"),
        ("(UnauthorizedOperation): You are not authorized to perform: ec2:RunInstances", "not permitted"),
        ("Required 'compute.instances.create' permission for 'projects/p'", "not permitted"),
    ],
)
def test_a_clouds_error_is_named_in_plain_words_and_kept(error: str, words: str) -> None:
    assert refusal(error) == f"{words}: {error}"


CONFIG = {
    "max_workers": 5,
    "provider": {"type": "aws"},
    "head_node_type": "head",
    "available_node_types": {
        "head": {"resources": {"CPU": 0}, "max_workers": 0},
        "gpu": {"resources": {"CPU": 4, "GPU": 1}, "max_workers": 2},
        "any": {"resources": {"CPU": 8}},
    },
}
BEGINS = "2026-11-28 10:00:00,000\tINFO monitor.py:326 -- AutoscalerMonitor started with command: ['monitor.py']\n"


def told(*lines: str, output: str = "", config: Any = CONFIG) -> AutoscalerLog:
    text = BEGINS + "".join(
        f"2026-11-28 10:00:{second:02},000\tINFO x.py:1 -- {line}\n" for second, line in enumerate(lines)
    )
    log = parse(text, output, config)
    assert log is not None
    return log


def test_a_config_tells_the_kinds_and_their_limits() -> None:
    log = told()
    assert log.kinds == (Kind("gpu", {"CPU": 4, "GPU": 1}, 2), Kind("any", {"CPU": 8}, 5))
    assert (log.most, log.provider) == (5, "aws")
    assert told(config={**CONFIG, "provider": {"type": "readonly"}}).kinds == (), "no autoscaler, only a report"
    assert told(config=None).kinds == ()
    assert parse("", "", None) is None


def test_on_kubernetes_the_config_is_in_the_log_alone() -> None:
    dump = yaml.safe_dump({**CONFIG, "provider": {"type": "kuberay"}})
    text = f"{BEGINS}2026-11-28 10:00:01,000\tINFO autoscaler.py:67 -- Using Autoscaling Config: \n{dump}\n{BEGINS}"
    assert sorted(told(config=config_in(text)).kinds) == sorted(told().kinds)


def test_a_refusal_counts_until_a_machine_is_given_and_a_failed_setup_until_one_joins() -> None:
    refused = "Failed to launch 2 nodes of type gpu: Node Launch Exception (VcpuLimitExceeded): more\nthan allowed"
    empty = "Update instance (type=gpu): launch failed with Failed to launch 2 nodes of type gpu with request id 1-2: "
    joined = "Update instance RAY_INSTALLING->RAY_RUNNING (id=1, type=gpu, cloud_instance_id=i-1, ray_id=): running"
    installing = (
        "Update instance ALLOCATED->RAY_INSTALLING (id=1, type=gpu, cloud_instance_id=i-1, ray_id=): installing"
    )
    failed = "Ray installation failed on instance i-1: SSH command failed."
    assert told(refused, empty).refused == {"gpu": "(VcpuLimitExceeded): more than allowed"}
    given = "Update instance REQUESTED->ALLOCATED (id=1, type=gpu, cloud_instance_id=i-1, ray_id=): allocated"
    assert told(refused, given).refused == {} and told(given, refused).refused
    assert told(refused, joined).refused == {}
    capped = "Failed to launch 1 nodes of type any with request id 3: Launch capped by maxReplicas limit."
    assert told(capped).refused == {"any": "Launch capped by maxReplicas limit."}
    assert told(installing, failed).broken == {"gpu": "SSH command failed."}
    assert told(installing, failed, joined).broken == {}
    output = "2026-11-28 10:00:00,000\tERR updater.py:1 -- Setup command `pip install x` failed with exit code 1. stderr: No space\n"
    assert told(installing, failed, output=output).broken == {
        "gpu": "Setup command `pip install x` failed with exit code 1. stderr: No space"
    }
