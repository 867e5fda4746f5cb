"""PHEW (Patil & Dovrolis, ICML 2021): paths with higher edge weights, sampled by random walks.

    P(i → j) = |θ_ji| / Σ_j' |θ_j'i|   forward,        P(j → i) = |θ_ji| / Σ_i' |θ_ji'|   backward
    s_i = −(time at which a walk first takes weight i)

Walks go alternately from the inputs to the outputs and from the outputs to the inputs, each starting at the next unit
in order, until they have taken the number of weights to keep. So every kept weight lies on a path from input to output,
except those of the last walk, which ends when the count is reached. One round, without data.

Units are the features of linear layers and the channels of convolutions. Between channels, |θ_ji| is the sum over the
kernel, of which a step takes one weight, with probability proportional to its size; ``whole_kernels`` takes all of
them. After a flattening, the features of a channel form such a kernel. At a branch, a walk chooses by |θ| among all
connections of its unit, where a shortcut without weights counts as a weight of one. The connections are those of the
graph that torch.fx traces.

Near density 1, walks take few new weights. Once fewer than one step in fifty takes a new weight, the weights that no
walk has taken follow in random order; likewise in a layer in which another scope keeps more than the walks have taken.

Authors' code: the same walks in the same order, but it derives the connections from the order of the tensors, in which
a 1×1 kernel means a shortcut. So it misreads bottlenecks, and a forward walk enters a shortcut one convolution early,
inside the preceding block. It takes a shortcut with weights half of the time and one without weights never, draws the
feature of a flattened channel uniformly, and finishes the last walk, so that it keeps up to a walk's length more
weights than requested. Its second mask removes the biases of units that no walk visited. No option here reproduces
these; ``whole_kernels`` is its ``kernel_conserved``.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from pruning.compaction.channelwise import CHANNELWISE, CONCATENATIONS, SUMS, function_name, module_name
from pruning.masks import PRUNABLE_LAYERS, TRANSPOSED, Scores, prunable
from pruning.modes import scoring_mode
from pruning.problem import Problem
from pruning.registry import register

Array = NDArray[Any]
TINY = float(np.finfo(np.float64).tiny)  # negligible beside a weight; makes choices uniform if all are zero
BELOW_ONE = 1 - 2.0**-32  # so that unit + draw never rounds up to the next unit
FRUITLESS = 0.02  # new weights per step


@register(
    "phew", paper="arXiv:2010.11354", data=False, display_name="PHEW", colour="#98a858", marker="X", dash="dashdot"
)
def phew(problem: Problem, *, whole_kernels: bool = False) -> Scores:
    """Order of weights on random walks from inputs to outputs that prefer large weights; data-free.

    Args:
        whole_kernels: a step between two channels takes their whole kernel, not one weight of it.
    """
    walks = _Walks(_Network(problem), problem.generator, whole_kernels)
    if problem.kept < sum(weight.numel() for weight in problem.dense.values()):
        walks.until(problem.kept)
    scores = {}
    for name, weight in problem.dense.items():
        taken = torch.from_numpy(walks.taken[name])
        never = walks.clock + 1 + torch.rand(weight.numel(), generator=problem.generator, dtype=torch.float64)
        scores[name] = -torch.where(taken.isinf(), never, taken).reshape(weight.shape).to(problem.device)
    return scores


class _Link:
    """Connections from the units of one place to those of another, with the probabilities of a walk.

    Args:
        strengths: Σ|θ| of each connection [units of source, units of target], zero where there is none.
        name: of the layer's weight tensor; empty for connections without weights.
    """

    def __init__(self, source: int, target: int, strengths: Array, name: str = ""):
        self.source, self.target, self.name = source, target, name
        self.flow, self._tables = dict[bool, Array](), dict[bool, Array]()  # forward, and back
        for forward, ways in ((True, strengths), (False, np.ascontiguousarray(strengths.T))):
            sums = ways.cumsum(1)
            self.flow[forward] = sums[:, -1]
            self._tables[forward] = sums / np.maximum(sums[:, -1:], TINY) + np.arange(len(sums))[:, None]

    def next(self, units: Array, chance: Array, forward: bool) -> Array:
        """The units at the other end to which walks at ``units`` move."""
        table = self._tables[forward]  # row u rises from u to u + 1
        return np.searchsorted(table.reshape(-1), units + chance, side="right") - units * table.shape[1]


def _strengths(kernels: Array, groups: int) -> Array:
    """Σ|θ| of kernels [targets, sources of a group, weights] by source and target."""
    sums = kernels.sum(-1, dtype=np.float64).T + TINY
    width, targets = sums.shape
    strengths, size = np.zeros((groups * width, targets)), targets // groups
    for group in range(groups):
        members = slice(group * size, (group + 1) * size)
        strengths[group * width : (group + 1) * width, members] = sums[:, members]
    return strengths


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, PRUNABLE_LAYERS) or super().is_leaf_module(m, module_qualified_name)


class _Network(fx.Interpreter):
    """Places (sets of units) and the links between them, recorded while one input runs through the traced graph.

    The output of a channelwise operation has the place of its input. A sum or a concatenation has a new place; a
    summand without another use has the place of the sum.

    Attributes:
        kernels: |θ| of every layer [targets, sources of a group, weights of a kernel], by name.
        units: number of units of each place. The input is place 0, and links lead from lower to higher places.
        ends: the places of the output.
        scored: names of the weight tensors that walks take weights of; they pass through others too.
    """

    def __init__(self, problem: Problem):
        weights = prunable(problem.model)
        self.kernels = {name: weight.detach().abs().cpu().numpy() for name, weight in weights.items()}
        self.scored = set(problem.dense)
        self.units, self.links, self.ends = list[int](), list[_Link](), list[int]()
        self._names = {id(parameter): name for name, parameter in weights.items()}
        self._at = dict[fx.Node, tuple[int, torch.Size]]()  # place and shape of each tensor
        dtype = next(iter(problem.dense.values())).dtype
        with scoring_mode(problem.model, train=False), torch.no_grad():
            try:
                graph = _Tracer().trace(problem.model)  # scoring_mode removes the constants that tracing adds
            except Exception as error:  # the model's own code can raise anything
                raise ValueError(f"phew: torch.fx cannot trace this network: {error}") from error
            super().__init__(problem.model, graph=graph)
            self.extra_traceback = False
            self.run(torch.zeros(1, *problem.input_shape, device=problem.device, dtype=dtype))
        problem.count(forward=1, inputs=1)
        self._simplify()

    def run_node(self, n: fx.Node) -> Any:
        """Run a node and record the place of its result."""
        result = super().run_node(n)
        fed = [node for node in n.all_input_nodes if node in self._at]
        if n.op == "output":
            self.ends = list(dict.fromkeys(self._at[node][0] for node in fed))
        elif isinstance(result, Tensor) and (fed or n.op == "placeholder"):
            place = self._follow(n, fed, result) if fed else self._place(result.shape[1])
            self._at[n] = place, result.shape
        elif isinstance(result, (tuple, list)) and any(isinstance(part, Tensor) for part in result):
            raise self._unsupported(n)
        return result

    def _follow(self, node: fx.Node, fed: list[fx.Node], result: Tensor) -> int:
        names = {function_name(node)}
        if node.op == "call_module":
            module = self.submodules[str(node.target)]
            if isinstance(module, PRUNABLE_LAYERS):
                return self._through(node, module, *self._at[fed[0]])
            names = {module_name(kind) for kind in type(module).__mro__}
        places = list(dict.fromkeys(self._at[source][0] for source in fed))
        units = [self.units[place] for place in places]
        if names & SUMS and len(places) > 1 and len(set(units)) == 1:
            return self._join(places, [0] * len(places), units[0])
        if names & CONCATENATIONS and len(places) == len(fed) and result.shape[1] == sum(units):
            return self._join(places, [sum(units[:before]) for before in range(len(units))], sum(units))
        if names & CHANNELWISE and len(places) == 1 and self._kept_apart(fed[0], result):
            return places[0]
        raise self._unsupported(node)

    def _kept_apart(self, source: fx.Node, result: Tensor) -> bool:
        """Whether every channel keeps its index, or was flattened into adjacent features."""
        place, before = self._at[source]
        flat = result.ndim == 2 and result.shape[1] % self.units[place] == 0 and result.numel() == before.numel()
        return flat or result.shape[1] == before[1]

    def _through(self, node: fx.Node, layer: nn.Module, source: int, shape: torch.Size) -> int:
        name, units, linear = self._names[id(layer.weight)], self.units[source], isinstance(layer, nn.Linear)
        if isinstance(layer, TRANSPOSED) or (len(shape) != 2 if linear else shape[1] != units):
            raise self._unsupported(node)
        groups = 1 if linear else int(layer.groups)  # type: ignore[arg-type]
        kernels = self.kernels[name]
        self.kernels[name] = kernels = kernels.reshape(len(kernels), units // groups, -1)
        target = self._place(len(kernels))
        self.links.append(_Link(source, target, _strengths(kernels, groups), name))
        return target

    def _place(self, units: int) -> int:
        self.units.append(units)
        return len(self.units) - 1

    def _join(self, places: list[int], offsets: list[int], units: int) -> int:
        joined = self._place(units)
        for place, offset in zip(places, offsets, strict=True):
            self.links.append(_Link(place, joined, np.eye(self.units[place], units, offset)))
        return joined

    def _unsupported(self, node: fx.Node) -> ValueError:
        return ValueError(
            f"phew cannot follow {node.target} of this network: between layers it supports sums, concatenations of"
            " channels, flattening, and channelwise operations"
        )

    def _simplify(self) -> None:
        """Move summands without another use to the place of the sum; remove links that lead to no output."""
        for link in [link for link in self.links if not link.name]:
            alone = [other.source for other in self.links].count(link.source) == 1
            if alone and link.source not in self.ends and self.units[link.source] == self.units[link.target]:
                self.links.remove(link)
                for other in self.links:
                    other.target = link.target if other.target == link.source else other.target
        reaching = set(self.ends)
        for link in sorted(self.links, key=lambda link: -link.source):
            reaching |= {link.source} if link.target in reaching else set()
        self.links = sorted((link for link in self.links if link.target in reaching), key=lambda link: link.source)
        if 0 not in reaching or not self.links:
            raise ValueError("phew finds no path from the input of this network to its output")


class _Walks:
    """Random walks, alternately forward from the inputs and backward from the outputs.

    Attributes:
        taken: by name, the time at which each weight was first taken, infinite if never. Each step has its own time.
        found: number of weights taken so far.
        clock: the time after the last walk.
    """

    def __init__(self, network: _Network, generator: torch.Generator, whole_kernels: bool):
        self.network, self.generator, self.whole_kernels = network, generator, whole_kernels
        self.taken = {name: np.full(kernels.size, np.inf) for name, kernels in network.kernels.items()}
        self.found = self.clock = self.steps = 0

    def until(self, kept: int) -> None:
        """Walk until ``kept`` weights are taken, or too few steps take new ones."""
        length = len(self.network.links)  # most steps of a walk
        while self.found < kept:
            found, steps = self.found, self.steps
            pairs = int(np.clip((kept - found) / length / 2, 2**9, 2**16))
            numbers = self.clock // length + 2 * np.arange(pairs)
            self._walk(numbers, forward=True)
            self._walk(numbers + 1, forward=False)
            self.clock += 2 * pairs * length
            if self.steps == steps or self.found - found < FRUITLESS * (self.steps - steps):
                break

    def _walk(self, numbers: Array, forward: bool) -> None:
        """Run the walks with these numbers together, place by place and link by link."""
        network, times = self.network, numbers * len(self.network.links)
        ends = [0] if forward else network.ends
        starts = np.array([(end, unit) for end in ends for unit in range(network.units[end])])
        place, unit = starts[numbers // 2 % len(starts)].T.copy()
        for here in range(len(network.units))[:: 1 if forward else -1]:
            ways = [link for link in network.links if here == (link.source if forward else link.target)]
            for link, walks in self._choose_links(ways, np.flatnonzero(place == here), unit, forward):
                before = unit[walks]
                unit[walks] = after = link.next(before, self._uniform(len(walks)), forward)
                place[walks] = link.target if forward else link.source
                sources, targets = (before, after) if forward else (after, before)
                if link.name in network.scored:
                    self._take(link.name, sources, targets, times[walks])
            times += len(ways)

    def _choose_links(
        self, ways: list[_Link], walks: Array, unit: Array, forward: bool
    ) -> Iterator[tuple[_Link, Array]]:
        """The walks that take each link, with probability proportional to its flow from their unit."""
        if len(ways) < 2:
            yield from ((link, walks) for link in ways)
            return
        sums = np.stack([link.flow[forward] for link in ways]).cumsum(0)[:, unit[walks]]
        choice = (self._uniform(len(walks)) * sums[-1] >= sums).sum(0)
        yield from ((link, walks[choice == number]) for number, link in enumerate(ways))

    def _take(self, name: str, sources: Array, targets: Array, times: Array) -> None:
        """Take one weight, or all, of the kernels between these units, at these increasing times."""
        kernels = self.network.kernels[name]
        width, size = kernels.shape[1:]
        chosen, times = targets * width + sources % width, times.astype(float)
        if self.whole_kernels:
            weights = (chosen[:, None] * size + np.arange(size)).ravel()
            times = (times[:, None] + np.arange(size) / size).ravel()
        else:
            sums = (kernels.reshape(-1, size)[chosen].astype(float) + TINY).cumsum(1)
            weights = chosen * size + (self._uniform(len(chosen))[:, None] * sums[:, -1:] >= sums).sum(1)
        self.steps += len(chosen)
        self._record(name, weights, times)

    def _record(self, name: str, weights: Array, times: Array) -> None:
        taken = self.taken[name]
        earlier = times < taken[weights]
        weights, times = weights[earlier], times[earlier]
        new = np.isinf(taken[weights])
        taken[weights[::-1]] = times[::-1]  # of a repeated weight, the earliest time is written last
        self.found += int((taken[weights[new]] == times[new]).sum())

    def _uniform(self, count: int) -> Array:
        return torch.rand(count, generator=self.generator, dtype=torch.float64).numpy() * BELOW_ONE
