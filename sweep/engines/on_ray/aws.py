"""Machines of AWS: another kind where AWS refuses the first one. Ray's launcher loads this for ``cluster.yaml``."""

from typing import Any

import click
from ray.autoscaler._private.aws.node_provider import AWSNodeProvider, make_ec2_resource
from ray.autoscaler.node_launch_exception import NodeLaunchException
from ray.autoscaler.tags import NODE_KIND_WORKER, TAG_RAY_NODE_KIND

_OPEN = (
    "security group {group} lets the whole internet in. Close it, let your own address in, then run ray up again:\n"
    "  aws ec2 revoke-security-group-ingress --group-id {group} --protocol tcp --port 22 --cidr 0.0.0.0/0\n"
    "  aws ec2 authorize-security-group-ingress --group-id {group} --protocol tcp --port 22"
    " --cidr $(curl -s https://checkip.amazonaws.com)/32"
)


class FallbackNodeProvider(AWSNodeProvider):
    """Ray's provider for AWS, and ``provider.fallbacks``: changes to a worker's ``node_config``, tried in turn.

    Ray's provider tries one kind of machine in all zones. After a refusal Ray's autoscaler (v2) asks for the same kind
    again, also where another kind would do. So the kinds are tried here, within one request. They must have the CPUs
    and GPUs that ``resources`` of the node type promises.

    Ray documents how its launcher loads a provider (``type: external``), but not this base class.
    """

    @staticmethod
    def bootstrap_config(cluster_config: dict[str, Any]) -> dict[str, Any]:
        """What Ray makes of ``cluster.yaml`` before it launches the head.

        Raises:
            ClickException: the whole internet may connect by SSH. Ray makes security groups that way, and adds the
                rules of ``provider.security_group.IpPermissions`` to that one.
        """
        ready: dict[str, Any] = AWSNodeProvider.bootstrap_config(cluster_config)
        ec2 = make_ec2_resource(ready["provider"]["region"], 3, ready["provider"].get("aws_credentials"))
        kinds = ready["available_node_types"].values()
        for group in {group for kind in kinds for group in kind["node_config"].get("SecurityGroupIds", [])}:
            for rule in ec2.SecurityGroup(group).ip_permissions:
                if any(source["CidrIp"] == "0.0.0.0/0" for source in rule.get("IpRanges", [])):
                    raise click.ClickException(_OPEN.format(group=group))
        return ready

    def create_node(self, node_config: dict[str, Any], tags: dict[str, str], count: int) -> dict[str, Any]:
        """Launch ``count`` machines; fewer where all kinds are refused after the first ones.

        Raises:
            NodeLaunchException: AWS refused every kind; it has the reason of each.
        """
        launched: dict[str, Any] = {}
        refusals: list[tuple[str, NodeLaunchException]] = []
        changes = self.provider_config.get("fallbacks", []) if tags[TAG_RAY_NODE_KIND] == NODE_KIND_WORKER else []
        for change in [{}, *changes]:
            kind = {key: value for key, value in (node_config | change).items() if value is not None}
            try:
                launched |= super().create_node(kind, tags, count - len(launched))
            except NodeLaunchException as refusal:
                refusals.append((_name(kind), refusal))
            if len(launched) >= count:
                break
        if not launched:
            raise _all_refused(refusals)
        return launched


def _name(kind: dict[str, Any]) -> str:
    """Such as "g6.2xlarge, spot"."""
    market = kind.get("InstanceMarketOptions", {}).get("MarketType", "on demand")
    return f"{kind['InstanceType']}, {market}"


def _all_refused(refusals: list[tuple[str, NodeLaunchException]]) -> NodeLaunchException:
    """One exception of all: by category, which kinds of machines, and what AWS said to the first of them."""
    by_category: dict[str, list[tuple[str, str]]] = {}
    for name, refusal in refusals:
        by_category.setdefault(refusal.category, []).append((name, refusal.description))
    reasons = [
        f"{category} ({'; '.join(name for name, _ in kinds)}): {kinds[0][1]}" for category, kinds in by_category.items()
    ]
    first = refusals[0][1]
    return NodeLaunchException(first.category, "; ".join(reasons), first.src_exc_info)
