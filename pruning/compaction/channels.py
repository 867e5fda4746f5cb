"""Channels: which of them a network keeps apart, from its torch.fx graph. :mod:`.compaction` rests on it.

Every tensor gets a label for each of its channels (dim 1). What works channel by channel passes labels on, a sum
makes its summands' labels one, a concatenation lines them up, a flattening repeats them, a convolution or linear layer
makes new ones. So a channel of a residual stream has one label on all its branches. Whatever is not known to keep
channels apart, and zeros zero, ties the labels that it meets to :data:`WHOLE`: to know less costs width, never truth.
"""

import functools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from pruning.compaction.channelwise import (
    CONCATENATIONS,
    POINTWISE,
    REDUCTIONS,
    SUMS,
    WINDOW_DIMS,
    function_name,
    is_in_place,
    module_name,
)
from pruning.compaction.tracing import (
    asks_no_width,
    at_zero,
    bare_copy,
    into_rows,
    note_shapes,
    of_positions,
    signature,
    trace,
)

WHOLE = 0  # the label of what stays: inputs, outputs, and all that is not understood

# Exactly these types: a subclass may do anything.
LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


@dataclass(frozen=True)
class Stream:
    """What is known of a tensor: the labels of its channels, and its shape for a batch of two.

    Attributes:
        shifted: a trainable shift (the bias of a layer or of BatchNorm) lies behind, and no gate since: a channel
            that is zero may not stay so.
    """

    labels: list[int]
    shape: tuple[int, ...]
    shifted: bool = False

    @functools.cached_property
    def index(self) -> Tensor:
        """The labels, to look something up for each."""
        return torch.tensor(self.labels, dtype=torch.long)


@dataclass(frozen=True)
class Layer:
    """A convolution or linear layer, or BatchNorm: what it reads, the labels of what it makes, and at how many
    positions.
    """

    module: Any
    source: Stream
    outputs: list[int]
    positions: int

    @functools.cached_property
    def index(self) -> Tensor:
        """The labels of what it makes, to look something up for each."""
        return torch.tensor(self.outputs, dtype=torch.long)


class Channels:
    """The labels of a network that is run on inputs of one shape. The model is not written to.

    Attributes:
        layers: all that may become narrower, by name, in order.
        norms: BatchNorm, by name.
        dropouts: what dropout layers, by name, read.
        signature: of the graph.

    Raises:
        ValueError: torch.fx cannot trace the model; it does something else in training than in evaluation; hooks.
    """

    def __init__(self, model: nn.Module, input_shape: Sequence[int]):
        self.layers: dict[str, Layer] = {}
        self.norms: dict[str, Layer] = {}
        self.dropouts: dict[str, Stream] = {}
        self._parents = [WHOLE]
        self._streams: dict[fx.Node, Stream] = {}
        self._fresh: set[fx.Node] = set()  # results in memory of their own
        graph = self._traced(model, input_shape)
        self.signature = signature(graph)
        self._foreign = _not_its_own(self._model, graph)
        for node in graph.nodes:
            self._visit(node)
        self._roots = torch.tensor([self._root(label) for label in range(len(self._parents))])

    def _traced(self, model: nn.Module, input_shape: Sequence[int]) -> fx.Graph:
        self._model = bare_copy(model)
        graph = trace(self._model)
        if any(map(_hooked, model.modules())):
            raise ValueError("this network has hooks")
        if signature(graph) != signature(trace(bare_copy(model), train=True)):
            raise ValueError("this network does something else in training than in evaluation")
        note_shapes(self._model, graph, input_shape)
        return graph

    @property
    def count(self) -> int:
        """Labels there are."""
        return len(self._roots)

    def rooted(self, labels: Tensor | None = None) -> Tensor:
        """Of each label, or of all, the one that stands for all that are one with it."""
        return self._roots if labels is None else self._roots[labels]

    # Labels: a forest, in which those that are one have one root, the least of them.

    def _root(self, label: int) -> int:
        while (parent := self._parents[label]) != label:
            self._parents[label] = label = self._parents[parent]
        return label

    def _join(self, first: Sequence[int], second: Sequence[int]) -> None:
        for pair in zip(first, second, strict=True):
            low, high = sorted(map(self._root, pair))
            self._parents[high] = low

    def _new(self, count: int) -> list[int]:
        labels = range(len(self._parents), len(self._parents) + count)
        self._parents.extend(labels)
        return list(labels)

    # The walk along the graph.

    def _visit(self, node: fx.Node) -> None:
        shape, sources = node.meta["shape"], [self._streams.get(source) for source in node.all_input_nodes]
        stream = self._follow(node, shape, sources)
        if stream is None and not asks_no_width(node):
            for source in filter(None, sources):
                self._join(source.labels, [WHOLE] * len(source.labels))
        if len(shape) > 1:
            self._streams[node] = stream or Stream([WHOLE] * shape[1], shape)

    def _follow(self, node: fx.Node, shape: tuple[int, ...], sources: list[Stream | None]) -> Stream | None:
        """What comes out of a node; None: unknown."""
        name, source = self._name(node), sources[0] if sources else None
        if source is None or len(shape) < 2:
            return None
        on, dims = Stream(source.labels, shape, source.shifted), len(source.shape)
        if name in CONCATENATIONS:
            return self._concatenation(node, shape)
        if name in POINTWISE and len(sources) == 1:
            value, slope = at_zero(node, self._module(node), dims)
            return Stream(source.labels, shape, source.shifted and slope != 0) if value == 0 else None
        if node.args[:1] != (node.all_input_nodes[0],):
            return None
        if name in SUMS:
            return self._sum(node, source, sources[1])
        if name == "flatten" or (name in ("view", "reshape") and into_rows(node)):
            return self._flattening(on, source.shape)
        if WINDOW_DIMS.get(name) == dims or (name in REDUCTIONS and of_positions(node, dims)):
            return on
        return self._stateful(node, on, source) if len(sources) == len(node.args) == 1 and not node.kwargs else None

    def _module(self, node: fx.Node) -> Any:
        return self._model.get_submodule(str(node.target)) if node.op == "call_module" else None

    def _name(self, node: fx.Node) -> str:
        """What a node does, by one name for functions, methods and modules; empty where that is not torch's."""
        if node.op == "call_module":
            return "" if str(node.target) in self._foreign else module_name(type(self._module(node)))
        return function_name(node)

    def _sum(self, node: fx.Node, first: Stream, second: Stream | None) -> Stream | None:
        in_place = is_in_place(node)
        if second is None or len(node.args) != len(node.all_input_nodes) or first.shape != second.shape:
            return None
        if in_place and not self._alone(node.all_input_nodes[0]):
            return None  # what is shifted now may be read under its old name
        self._fresh |= set() if in_place else {node}
        self._join(first.labels, second.labels)
        return Stream(first.labels, first.shape, first.shifted or second.shifted)

    def _alone(self, node: fx.Node) -> bool:
        """Whether nothing else sees what is written into this tensor."""
        return len(node.users) == 1 and (node in self._fresh or all(map(self._alone, node.all_input_nodes[:1])))

    def _concatenation(self, node: fx.Node, shape: tuple[int, ...]) -> Stream | None:
        parts: Any = node.args[0] if node.args else None
        dim: Any = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
        streams = [self._streams.get(part) for part in parts] if isinstance(parts, (tuple, list)) else []
        known = [stream for stream in streams if stream]
        if not isinstance(dim, int) or dim % len(shape) != 1 or len(known) < max(1, len(streams)):
            return None
        self._fresh.add(node)
        return Stream([label for s in known for label in s.labels], shape, any(s.shifted for s in known))

    def _flattening(self, on: Stream, before: tuple[int, ...]) -> Stream | None:
        """[B, C, …] to [B, C · …]: the features of a channel follow one another."""
        if len(on.shape) != 2 or on.shape[0] != before[0]:
            return None
        each = math.prod(before[2:])
        return Stream([label for label in on.labels for _ in range(each)], on.shape, on.shifted)

    def _stateful(self, node: fx.Node, on: Stream, source: Stream) -> Stream | None:
        name, module, dims = str(node.target), self._module(node), len(on.shape)
        kind = type(module) if self._name(node) else None
        if kind in LAYERS and (dims == 2 if kind is nn.Linear else module.groups == 1):
            on = Stream(self._new(on.shape[1]), on.shape)
            self.layers[name] = Layer(module, source, on.labels, math.prod(on.shape[2:]))
        elif kind in NORMS:
            self.norms[name] = Layer(module, source, on.labels, math.prod(on.shape[2:]))
        elif kind is nn.Dropout or (kind in DROPOUTS and DROPOUTS.index(kind) + 2 == dims):
            self.dropouts[name] = source
            return on
        else:
            return None
        self._fresh.add(node)
        return Stream(on.labels, on.shape, on.shifted or _trainable(module.bias))


def _trainable(tensor: Tensor | None) -> bool:
    return tensor is not None and tensor.requires_grad


def _hooked(module: nn.Module) -> bool:
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(getattr(module, kind) for kind in hooks) or "forward" in vars(module)


def _not_its_own(model: nn.Module, graph: fx.Graph) -> set[str]:
    """Names of modules that do not work once and alone: called twice, or with a tensor that others use too."""
    modules = dict(model.named_modules())
    tensors = {name: [*m._parameters.values(), *m._buffers.values()] for name, m in modules.items()}
    owners = Counter(id(tensor) for owned in tensors.values() for tensor in owned if tensor is not None)
    calls = Counter(str(node.target) for node in graph.nodes if node.op == "call_module")
    borrowed = {str(node.target).rpartition(".")[0] for node in graph.nodes if node.op == "get_attr"}
    return borrowed | {
        name
        for name, module in modules.items()
        if any(owners[id(tensor)] > 1 for tensor in tensors[name])
        or (calls[name] > 1 and (tensors[name] or type(module) in DROPOUTS))
    }
