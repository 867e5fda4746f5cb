"""clusters/kuberay.yaml: KubeRay's keys, Kubernetes' own schemas for its pods, and what the file promises."""

import json
import re
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import kubernetes_validate
import pytest
import yaml

from sweep.config.compute import Compute
from sweep.engines.capacity import capacity
from tests.clusters.pages import ROOT

SCHEMA = json.loads((ROOT / "tests/clusters/rayjob.schema.json").read_text())
TEXT = (ROOT / "clusters/kuberay.yaml").read_text()


@pytest.fixture
def job() -> Any:
    return yaml.safe_load(TEXT)


def validate(job: Any) -> None:
    jsonschema.validate(job, SCHEMA)
    cluster = job["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": group["template"]["spec"]}
        kubernetes_validate.validate(pod, "1.34", strict=True)


def test_kuberay_and_kubernetes_know_every_key(job: Any) -> None:
    validate(job)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("idleTimeoutSeconds", "idleTimeoutSecond"), ("version: v2", "version: v3"), ("restartPolicy", "restartPolice"),
     ("secretRef", "secret"), ("tolerations", "toleration"), ("minReplicas: 0", "minReplicas: '0'")],
)  # fmt: skip
def test_a_mistake_is_seen(right: str, wrong: str) -> None:
    with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
        validate(yaml.safe_load(TEXT.replace(right, wrong)))


def test_the_cluster_grows_from_zero_by_autoscaler_v2_with_a_token_and_ends_with_the_sweep(job: Any) -> None:
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["enableInTreeAutoscaling"] is True
    assert cluster["autoscalerOptions"]["version"] == "v2"
    assert cluster["authOptions"] == {"mode": "token"}
    assert job["spec"]["shutdownAfterJobFinishes"] is True
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"  # no trial runs on the head
    [group] = cluster["workerGroupSpecs"]
    assert (group["replicas"], group["minReplicas"]) == (0, 0) < (group["maxReplicas"],)


def test_a_worker_has_room_for_the_four_trials_that_the_file_tells(job: Any) -> None:
    [group] = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    [container] = group["template"]["spec"]["containers"]
    limits = container["resources"]["limits"]
    assert limits == container["resources"]["requests"]
    assert "four trials with cpus_per_trial 2 and gpus_per_trial 0.25" in TEXT
    room = capacity(Compute(cpus_per_trial=2, gpus_per_trial=0.25), int(limits["cpu"]), int(limits["nvidia.com/gpu"]))
    assert room.trials == 4


def test_file_and_image_have_the_pinned_ray(job: Any) -> None:
    [pinned] = re.findall(r"^ray==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert job["spec"]["rayClusterSpec"]["rayVersion"] == pinned
    assert f"FROM rayproject/ray:{pinned}-py" in (ROOT / "clusters/Dockerfile").read_text()


def test_the_image_has_neither_stores_nor_data_nor_environments() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".venv*", "data", "results*"} <= set(ignored)
