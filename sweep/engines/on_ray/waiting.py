"""Why trials wait on a cluster: pure functions of what the cluster, its autoscaler and its log say."""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

Resources = Mapping[str, float]

# What clouds call the three reasons for which they refuse machines most often: AWS, Google, Azure, Kubernetes
_REFUSALS = {
    "not permitted": r"unauthori[sz]ed|accessdenied|access denied|permission|authfailure|not authori[sz]ed",
    "over a quota": r"quota|limitexceeded|countexceeded",
    "out of capacity": r"capacity|exhausted|stockout|skunotavailable|does not have enough resources",
}


class Kind(NamedTuple):
    """A kind of machine that the autoscaler can launch: what one has, and at most how many there may be."""

    name: str
    resources: Resources
    most: int


class Node(NamedTuple):
    """A machine that is there: its kind, what it has, and what of that is free."""

    kind: str
    resources: Resources
    free: Resources


class Asked(NamedTuple):
    """Machines of one kind that the cloud was asked for and that have not joined: how many, and since when."""

    number: int
    since: float


@dataclass(frozen=True)
class ClusterState:
    """A cluster at one moment.

    Attributes:
        nodes: machines that are there, the head included.
        kinds: that the autoscaler can launch, empty without an autoscaler; None where nothing tells.
        most: machines besides the head that there may be, of all kinds together; None: no limit of its own.
        asked: requests that the cloud has not answered, by kind.
        starting: machines that boot or are set up, by kind.
        refused: why the cloud refuses a kind now.
        broken: why the set-up of a kind fails now.
        hint: a command that shows more of it.
    """

    nodes: Sequence[Node] = ()
    kinds: Sequence[Kind] | None = None
    most: int | None = None
    asked: Mapping[str, Asked] = field(default_factory=dict)
    starting: Mapping[str, Asked] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)
    hint: str = "ray monitor cluster.yaml"


def fits(need: Resources, resources: Resources) -> bool:
    """Whether what a trial needs is there."""
    return all(resources.get(name, 0) >= number - 1e-9 for name, number in need.items())


def reason(state: ClusterState, need: Resources) -> str:
    """Why trials that need so much wait, as the rest of a sentence that begins ``12 trials wait:``."""
    if any(fits(need, node.free) for node in state.nodes):
        return "machines have room, and processes for trials are starting there"
    if not state.kinds:
        return _without_choice(state, need)
    fitting = [kind for kind in state.kinds if kind.most and fits(need, kind.resources)]
    if not fitting:
        names = ", ".join(f"{kind.name}: {amounts(kind.resources)}" for kind in state.kinds if kind.most)
        return f"no kind of machine of this cluster has {amounts(need)} ({names or 'it can launch none'})"
    parts = [part for kind in fitting for part in _of_kind(state, kind)]
    return "; ".join(parts) or _nothing_asked(state, fitting)


def _without_choice(state: ClusterState, need: Resources) -> str:
    """Where the autoscaler can launch nothing, or does not say what."""
    if state.kinds is None:
        parts = [part for name in _known_names(state) for part in _of_kind(state, Kind(name, {}, 0))]
        return "; ".join(parts) or f"{_in_use(state)}; the autoscaler has not asked for a machine yet"
    if not any(fits(need, node.resources) for node in state.nodes):
        return f"no machine of this cluster has {amounts(need)}, and it has no autoscaler"
    return f"{_in_use(state)}; this cluster has no autoscaler"


def _known_names(state: ClusterState) -> list[str]:
    return list(dict.fromkeys([*state.refused, *state.broken, *state.asked, *state.starting]))


def _of_kind(state: ClusterState, kind: Kind) -> list[str]:
    """What keeps machines of one kind from coming; empty where nothing is known to."""
    name, parts = kind.name, []
    if name in state.refused:
        parts.append(f"the cloud refuses machines of {name} ({refusal(state.refused[name])})")
    if name in state.broken:
        parts.append(f"the set-up of machines of {name} fails ({state.broken[name]}; see: {state.hint})")
    if name in state.starting and name not in state.broken:
        number, since = state.starting[name]
        parts.append(f"{_machines(number, name)} booting or being set up since {_clock(since)}")
    if name in state.asked and name not in state.refused:
        number, since = state.asked[name]
        parts.append(f"{_machines(number, name)} asked for since {_clock(since)} and not there yet")
    return parts


def _nothing_asked(state: ClusterState, fitting: Sequence[Kind]) -> str:
    """Nothing is on its way: the cluster is at its maximum, or its autoscaler is slow or dead."""
    there = {kind.name: sum(node.kind == kind.name for node in state.nodes) for kind in state.kinds or ()}
    if state.most is not None and sum(there.values()) >= state.most:
        return f"the cluster is at its maximum (max_workers: {state.most}), and all that fits is in use"
    if all(there[kind.name] >= kind.most for kind in fitting):
        limits = ", ".join(f"{kind.most} of {kind.name}" for kind in fitting)
        return f"the cluster is at its maximum (max_workers: {limits}), and all that fits is in use"
    return f"the autoscaler has not asked for a machine yet; if this stays, see: {state.hint}"


def refusal(error: str) -> str:
    """A cloud's error, in plain words before its own."""
    squeezed = error.lower()
    for words, pattern in _REFUSALS.items():
        if re.search(pattern, squeezed):
            return f"{words}: {error}"
    return error or "it gave no reason"


def amounts(resources: Resources) -> str:
    """``4 CPUs and 0.25 GPUs``: of those two, what is there."""
    named = [(resources.get(name, 0), name) for name in ("CPU", "GPU")]
    parts = [f"{amount:g} {name if amount <= 1 else f'{name}s'}" for amount, name in named if amount]
    return " and ".join(parts) or "no CPUs"


def _in_use(state: ClusterState) -> str:
    parts = []
    for name in ("CPU", "GPU"):
        if total := sum(node.resources.get(name, 0) for node in state.nodes):
            used = total - sum(node.free.get(name, 0) for node in state.nodes)
            parts.append(f"{used:g} of {total:g} {name}s")
    return f"{' and '.join(parts)} are in use" if parts else "no machine of this cluster has CPUs or GPUs"


def _machines(number: int, kind: str) -> str:
    return f"1 machine of {kind} is" if number == 1 else f"{number} machines of {kind} are"


def _clock(moment: float) -> str:
    return time.strftime("%H:%M", time.localtime(moment))
