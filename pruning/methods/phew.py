"""PHEW (Patil & Dovrolis, ICML 2021): paths with higher edge weights, found by random walks.

    P(i → j) = |θ_ji| / Σ_j' |θ_j'i|   forward,        P(j → i) = |θ_ji| / Σ_i' |θ_ji'|   backward
    s_i = −(when a walk first took weight i)

Walks go from the inputs to the outputs and from the outputs to the inputs by turns, each from the next unit in order,
until they have taken as many weights as are to be kept. So every kept weight lies on a path from input to output,
but for those of the last walk, which is cut off where the count is full. One round, without data.

Units are the features of linear layers and the channels of convolutions. Between channels |θ_ji| is the sum over the
kernel, of which a step takes one weight, in proportion to its size; ``whole_kernels`` takes them all. Behind a
flattening, the features of a channel are such a kernel. Where ways part, a walk chooses by |θ| among all connections
of its unit, a shortcut without weights being one of weight one. The ways are those of the graph that torch.fx traces.

Towards density 1 there is little left to find. Once fewer than one step in fifty finds anything, the weights that no
walk took follow in random order; so they do in a layer that another scope gives more than the walks took of it.

Authors' code: the same walks in the same turns, but it reads the ways off the order of the tensors, in which a 1×1
kernel means a shortcut. So it misreads bottlenecks, and a walk forward leaves for a shortcut one convolution early,
inside the block before. It takes a shortcut with weights half of the time and one without never, draws the feature of
a flattened channel evenly, and finishes the last walk, keeping more than asked for by up to its length. Its second
mask removes the biases of units that no walk met. None of our options reproduces these; ``whole_kernels`` is its
``kernel_conserved``.
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
TINY = float(np.finfo(np.float64).tiny)  # nothing beside any weight; where all are zero, it makes them even
BELOW_ONE = 1 - 2.0**-32  # so that unit + chance never rounds up to the next unit
FRUITLESS = 0.02  # weights found a step


@register("phew", paper="arXiv:2010.11354", data=False)
def phew(problem: Problem, *, whole_kernels: bool = False) -> Scores:
    """How early random walks from inputs to outputs, drawn to large weights, take it; data-free."""
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
    """Connections from the units of one place to those of another, and how a walk chooses among them.

    Args:
        strengths: Σ|θ| of each connection [units of source, units of target], zero where there is none.
        name: of the layer's weights; empty where the connections have none.
    """

    def __init__(self, source: int, target: int, strengths: Array, name: str = ""):
        self.source, self.target, self.name = source, target, name
        self.flow, self._tables = dict[bool, Array](), dict[bool, Array]()  # forward, and back
        for forward, ways in ((True, strengths), (False, np.ascontiguousarray(strengths.T))):
            sums = ways.cumsum(1)
            self.flow[forward] = sums[:, -1]
            self._tables[forward] = sums / np.maximum(sums[:, -1:], TINY) + np.arange(len(sums))[:, None]

    def next(self, units: Array, chance: Array, forward: bool) -> Array:
        """The units at the other end that walks at ``units`` go to."""
        table = self._tables[forward]  # row u rises from u to u + 1
        return np.searchsorted(table.reshape(-1), units + chance, side="right") - units * table.shape[1]


def _strengths(kernels: Array, groups: int) -> Array:
    """Σ|θ| of kernels [targets, sources of a group, weights] by source and target."""
    sums = kernels.sum(-1, dtype=np.float64).T + TINY
    width, targets = sums.shape
    full, each = np.zeros((groups * width, targets)), targets // groups
    for group in range(groups):
        members = slice(group * each, (group + 1) * each)
        full[group * width : (group + 1) * width, members] = sums[:, members]
    return full


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, PRUNABLE_LAYERS) or super().is_leaf_module(m, module_qualified_name)


class _Network(fx.Interpreter):
    """Places, each with its units, and the links between them, noted while one input runs through the traced graph.

    What is computed channel by channel stays at its place. A sum, or a concatenation, is a new one; but a summand
    that goes nowhere else is at the place of the sum.

    Attributes:
        kernels: |θ| of every layer [targets, sources of a group, weights of a kernel], by name.
        units: of each place; the input is place 0, and links lead from lower to higher places.
        ends: the places of the output.
        scored: names of the layers whose weights walks take; they pass through others, too.
    """

    def __init__(self, problem: Problem):
        weights = prunable(problem.model)
        self.kernels = {name: weight.detach().abs().cpu().numpy() for name, weight in weights.items()}
        self.scored = set(problem.dense)
        self.units, self.links, self.ends = list[int](), list[_Link](), list[int]()
        self._names = {id(parameter): name for name, parameter in weights.items()}
        self._at = dict[fx.Node, tuple[int, torch.Size]]()  # the place of a tensor, and its shape
        dtype = next(iter(problem.dense.values())).dtype
        with scoring_mode(problem.model, train=False), torch.no_grad():
            try:
                graph = _Tracer().trace(problem.model)  # scoring_mode removes the constants that tracing adds
            except Exception as error:  # it runs the model's own code
                raise ValueError(f"phew: torch.fx cannot trace this network: {error}") from error
            super().__init__(problem.model, graph=graph)
            self.extra_traceback = False
            self.run(torch.zeros(1, *problem.input_shape, device=problem.device, dtype=dtype))
        problem.count(forward=1, inputs=1)
        self._tidy()

    def run_node(self, n: fx.Node) -> Any:
        """Run it, and note where its result is."""
        result = super().run_node(n)
        fed = [node for node in n.all_input_nodes if node in self._at]
        if n.op == "output":
            self.ends = list(dict.fromkeys(self._at[node][0] for node in fed))
        elif isinstance(result, Tensor) and (fed or n.op == "placeholder"):
            place = self._follow(n, fed, result) if fed else self._place(result.shape[1])
            self._at[n] = place, result.shape
        elif isinstance(result, (tuple, list)) and any(isinstance(part, Tensor) for part in result):
            raise self._lost(n)
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
        raise self._lost(node)

    def _kept_apart(self, source: fx.Node, result: Tensor) -> bool:
        """Whether each channel is where it was, or has been flattened into features that follow one another."""
        place, before = self._at[source]
        flat = result.ndim == 2 and result.shape[1] % self.units[place] == 0 and result.numel() == before.numel()
        return flat or result.shape[1] == before[1]

    def _through(self, node: fx.Node, layer: nn.Module, source: int, shape: torch.Size) -> int:
        name, units, linear = self._names[id(layer.weight)], self.units[source], isinstance(layer, nn.Linear)
        if isinstance(layer, TRANSPOSED) or (len(shape) != 2 if linear else shape[1] != units):
            raise self._lost(node)
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

    def _lost(self, node: fx.Node) -> ValueError:
        return ValueError(
            f"phew cannot follow {node.target} of this network: between layers it knows sums, concatenations of"
            " channels, flattening, and what leaves each channel to itself"
        )

    def _tidy(self) -> None:
        """Move summands that go nowhere else to the place of the sum; drop what leads to no output."""
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
            raise ValueError("phew finds no way from the input of this network to its output")


class _Walks:
    """Random walks by turns from the inputs on and from the outputs back.

    Attributes:
        taken: by name, when each weight was first taken, infinite if never. Every step of every walk has its time.
        found: weights taken so far.
        clock: the time after the last walk.
    """

    def __init__(self, network: _Network, generator: torch.Generator, whole_kernels: bool):
        self.network, self.generator, self.whole_kernels = network, generator, whole_kernels
        self.taken = {name: np.full(kernels.size, np.inf) for name, kernels in network.kernels.items()}
        self.found = self.clock = self.steps = 0

    def until(self, kept: int) -> None:
        """Walk until ``kept`` weights are found, or little new is."""
        length = len(self.network.links)  # of a walk, at most
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
        """Let the walks of these numbers go, all at once: one link after the other, one place after the other."""
        network, times = self.network, numbers * len(self.network.links)
        ends = [0] if forward else network.ends
        starts = np.array([(end, unit) for end in ends for unit in range(network.units[end])])
        place, unit = starts[numbers // 2 % len(starts)].T.copy()
        for here in range(len(network.units))[:: 1 if forward else -1]:
            ways = [link for link in network.links if here == (link.source if forward else link.target)]
            for link, walks in self._parted(ways, np.flatnonzero(place == here), unit, forward):
                before = unit[walks]
                unit[walks] = after = link.next(before, self._chance(len(walks)), forward)
                place[walks] = link.target if forward else link.source
                sources, targets = (before, after) if forward else (after, before)
                if link.name in network.scored:
                    self._take(link.name, sources, targets, times[walks])
            times += len(ways)

    def _parted(self, ways: list[_Link], walks: Array, unit: Array, forward: bool) -> Iterator[tuple[_Link, Array]]:
        """The walks that take each way, in proportion to its flow from their unit."""
        if len(ways) < 2:
            yield from ((link, walks) for link in ways)
            return
        sums = np.stack([link.flow[forward] for link in ways]).cumsum(0)[:, unit[walks]]
        choice = (self._chance(len(walks)) * sums[-1] >= sums).sum(0)
        yield from ((link, walks[choice == number]) for number, link in enumerate(ways))

    def _take(self, name: str, sources: Array, targets: Array, times: Array) -> None:
        """Take a weight, or all, of the kernels between these units at these times, which rise."""
        kernels = self.network.kernels[name]
        width, each = kernels.shape[1:]
        chosen, times = targets * width + sources % width, times.astype(float)
        if self.whole_kernels:
            weights = (chosen[:, None] * each + np.arange(each)).ravel()
            times = (times[:, None] + np.arange(each) / each).ravel()
        else:
            sums = (kernels.reshape(-1, each)[chosen].astype(float) + TINY).cumsum(1)
            weights = chosen * each + (self._chance(len(chosen))[:, None] * sums[:, -1:] >= sums).sum(1)
        self.steps += len(chosen)
        self._note(name, weights, times)

    def _note(self, name: str, weights: Array, times: Array) -> None:
        taken = self.taken[name]
        earlier = times < taken[weights]
        weights, times = weights[earlier], times[earlier]
        new = np.isinf(taken[weights])
        taken[weights[::-1]] = times[::-1]  # of a weight that is there twice, the earliest comes last and stays
        self.found += int((taken[weights[new]] == times[new]).sum())

    def _chance(self, count: int) -> Array:
        return torch.rand(count, generator=self.generator, dtype=torch.float64).numpy() * BELOW_ONE
