"""Channel labels: which channels of a network can be removed independently, from its torch.fx graph.

Every tensor gets a label for each of its channels (dim 1). A channelwise operation passes labels on, a sum merges the
labels of its summands, a concatenation concatenates them, a flattening repeats them, a convolution or linear layer
makes new ones. So a channel of a residual stream has one label on all its branches. An operation that is not known to
keep channels apart and zeros zero merges the labels of its inputs with :data:`FIXED`. So an unknown operation can make
the result larger than necessary, but never wrong.
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
    bare_copy,
    flattens_to_rows,
    is_width_independent,
    record_shapes,
    reduces_positions_only,
    signature,
    trace,
    value_and_slope_at_zero,
)

FIXED = 0  # the label of channels that are never removed: of inputs, outputs and unknown operations

# Exactly these types: a subclass may compute something else.
LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


@dataclass(frozen=True)
class Activation:
    """A tensor between two operations: the labels of its channels, and its shape for a batch of two.

    Attributes:
        shifted: a trainable shift (the bias of a layer or of BatchNorm) was added, with no gate after it: a channel
            that is zero may become nonzero in training.
    """

    labels: list[int]
    shape: tuple[int, ...]
    shifted: bool = False

    @functools.cached_property
    def index(self) -> Tensor:
        """The labels as a tensor, to index with."""
        return torch.tensor(self.labels, dtype=torch.long)


@dataclass(frozen=True)
class TracedLayer:
    """A convolution or linear layer, or BatchNorm, in the graph.

    Attributes:
        source: its input.
        outputs: labels of its output channels.
        positions: output positions of one channel (height × width).
    """

    module: Any
    source: Activation
    outputs: list[int]
    positions: int

    @functools.cached_property
    def index(self) -> Tensor:
        """The labels of its output channels as a tensor, to index with."""
        return torch.tensor(self.outputs, dtype=torch.long)


class Channels:
    """The channel labels of a network for inputs of one shape. The model is not modified.

    Attributes:
        layers: the layers that can become narrower, by name, in order of the graph.
        norms: BatchNorm layers by name.
        dropouts: inputs of the dropout layers, by layer name.
        signature: of the graph.

    Raises:
        ValueError: torch.fx cannot trace the model, its graph differs between training and evaluation, or it has
            hooks.
    """

    def __init__(self, model: nn.Module, input_shape: Sequence[int]):
        self.layers: dict[str, TracedLayer] = {}
        self.norms: dict[str, TracedLayer] = {}
        self.dropouts: dict[str, Activation] = {}
        self._parents = [FIXED]
        self._activations: dict[fx.Node, Activation] = {}
        self._own_memory: set[fx.Node] = set()  # results that are written to new memory
        graph = self._traced(model, input_shape)
        self.signature = signature(graph)
        self._shared = _shared_modules(self._model, graph)
        for node in graph.nodes:
            self._visit(node)
        self._roots = torch.tensor([self._root(label) for label in range(len(self._parents))])

    def _traced(self, model: nn.Module, input_shape: Sequence[int]) -> fx.Graph:
        self._model = bare_copy(model)
        graph = trace(self._model)
        if any(map(_hooked, model.modules())):
            raise ValueError("this network has hooks")
        if signature(graph) != signature(trace(bare_copy(model), train=True)):
            raise ValueError("this network computes something else in training than in evaluation")
        record_shapes(self._model, graph, input_shape)
        return graph

    @property
    def count(self) -> int:
        """Number of labels, merged ones included."""
        return len(self._roots)

    def rooted(self, labels: Tensor | None = None) -> Tensor:
        """The representative of each given label, or of every label: merged labels have the same one."""
        return self._roots if labels is None else self._roots[labels]

    # Labels are a union-find forest: merged labels have the same root, the smallest of them.

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

    # Following the labels through the graph.

    def _visit(self, node: fx.Node) -> None:
        shape, sources = node.meta["shape"], [self._activations.get(source) for source in node.all_input_nodes]
        stream = self._follow(node, shape, sources)
        if stream is None and not is_width_independent(node):
            for source in filter(None, sources):
                self._join(source.labels, [FIXED] * len(source.labels))
        if len(shape) > 1:
            self._activations[node] = stream or Activation([FIXED] * shape[1], shape)

    def _follow(self, node: fx.Node, shape: tuple[int, ...], sources: list[Activation | None]) -> Activation | None:
        """The labels of a node's output; None where the operation is unknown."""
        name, source = self._name(node), sources[0] if sources else None
        if source is None or len(shape) < 2:
            return None
        on, dims = Activation(source.labels, shape, source.shifted), len(source.shape)
        if name in CONCATENATIONS:
            return self._concatenation(node, shape)
        if name in POINTWISE and len(sources) == 1:
            value, slope = value_and_slope_at_zero(node, self._module(node), dims)
            return Activation(source.labels, shape, source.shifted and slope != 0) if value == 0 else None
        if node.args[:1] != (node.all_input_nodes[0],):
            return None
        if name in SUMS:
            return self._sum(node, source, sources[1])
        if name == "flatten" or (name in ("view", "reshape") and flattens_to_rows(node)):
            return self._flattening(on, source.shape)
        if WINDOW_DIMS.get(name) == dims or (name in REDUCTIONS and reduces_positions_only(node, dims)):
            return on
        return (
            self._module_output(node, on, source) if len(sources) == len(node.args) == 1 and not node.kwargs else None
        )

    def _module(self, node: fx.Node) -> Any:
        return self._model.get_submodule(str(node.target)) if node.op == "call_module" else None

    def _name(self, node: fx.Node) -> str:
        """The operation of a node, under one name for functions, methods and modules; empty if it is not torch's."""
        if node.op == "call_module":
            return "" if str(node.target) in self._shared else module_name(type(self._module(node)))
        return function_name(node)

    def _sum(self, node: fx.Node, first: Activation, second: Activation | None) -> Activation | None:
        in_place = is_in_place(node)
        if second is None or len(node.args) != len(node.all_input_nodes) or first.shape != second.shape:
            return None
        if in_place and not self._unobserved(node.all_input_nodes[0]):
            return None  # another node may read the tensor that is changed here
        self._own_memory |= set() if in_place else {node}
        self._join(first.labels, second.labels)
        return Activation(first.labels, first.shape, first.shifted or second.shifted)

    def _unobserved(self, node: fx.Node) -> bool:
        """Whether no other node sees a write to this tensor."""
        return len(node.users) == 1 and (
            node in self._own_memory or all(map(self._unobserved, node.all_input_nodes[:1]))
        )

    def _concatenation(self, node: fx.Node, shape: tuple[int, ...]) -> Activation | None:
        parts: Any = node.args[0] if node.args else None
        dim: Any = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
        streams = [self._activations.get(part) for part in parts] if isinstance(parts, (tuple, list)) else []
        known = [stream for stream in streams if stream]
        if not isinstance(dim, int) or dim % len(shape) != 1 or len(known) < max(1, len(streams)):
            return None
        self._own_memory.add(node)
        return Activation([label for s in known for label in s.labels], shape, any(s.shifted for s in known))

    def _flattening(self, on: Activation, before: tuple[int, ...]) -> Activation | None:
        """[B, C, …] to [B, C · …]: the features of one channel are adjacent."""
        if len(on.shape) != 2 or on.shape[0] != before[0]:
            return None
        features = math.prod(before[2:])
        return Activation([label for label in on.labels for _ in range(features)], on.shape, on.shifted)

    def _module_output(self, node: fx.Node, on: Activation, source: Activation) -> Activation | None:
        name, module, dims = str(node.target), self._module(node), len(on.shape)
        kind = type(module) if self._name(node) else None
        if kind in LAYERS and (dims == 2 if kind is nn.Linear else module.groups == 1):
            on = Activation(self._new(on.shape[1]), on.shape)
            self.layers[name] = TracedLayer(module, source, on.labels, math.prod(on.shape[2:]))
        elif kind in NORMS:
            self.norms[name] = TracedLayer(module, source, on.labels, math.prod(on.shape[2:]))
        elif kind is nn.Dropout or (kind in DROPOUTS and DROPOUTS.index(kind) + 2 == dims):
            self.dropouts[name] = source
            return on
        else:
            return None
        self._own_memory.add(node)
        return Activation(on.labels, on.shape, on.shifted or _trainable(module.bias))


def _trainable(tensor: Tensor | None) -> bool:
    return tensor is not None and tensor.requires_grad


def _hooked(module: nn.Module) -> bool:
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(getattr(module, kind) for kind in hooks) or "forward" in vars(module)


def _shared_modules(model: nn.Module, graph: fx.Graph) -> set[str]:
    """Names of modules that are called twice or share a tensor with other modules or code."""
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
