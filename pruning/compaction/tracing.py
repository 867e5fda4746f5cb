"""A network's torch.fx graph, and questions about its nodes."""

import copy
import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from pruning.modes import scoring_mode


class CannotCopy(ValueError):
    """The network cannot be deep-copied."""


class _Tracer(fx.Tracer):
    def __init__(self, leaves: tuple[type[nn.Module], ...]):
        super().__init__()
        self._leaves = leaves

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, self._leaves) or super().is_leaf_module(m, module_qualified_name)


def trace(model: nn.Module, *leaves: type[nn.Module], train: bool = False) -> fx.Graph:
    """The graph of a model's code, with modules of torch.nn and of the given types as single nodes.

    Tracing may add constants to the model as attributes: pass a :func:`bare_copy`.

    Raises:
        ValueError: the model's code branches on values, or fails.
    """
    with scoring_mode(model, train):
        try:
            return _Tracer(leaves).trace(model)
        except Exception as error:  # the model's own code can raise anything
            raise ValueError(f"torch.fx cannot trace this network: {error}") from error


def signature(graph: fx.Graph) -> list[tuple[Any, ...]]:
    """Operation, target and arguments of every node, without boolean arguments such as ``training``."""

    def plain(arguments: Any) -> str:
        return str(fx.node.map_aggregate(arguments, lambda leaf: None if isinstance(leaf, bool) else leaf))

    return [(node.op, node.target, plain(node.args), plain(node.kwargs)) for node in graph.nodes]


class _Shapes(fx.Interpreter):
    extra_traceback = False

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        n.meta["shape"] = tuple(result.shape) if isinstance(result, Tensor) else ()
        return result


def record_shapes(model: nn.Module, graph: fx.Graph, input_shape: Sequence[int]) -> None:
    """Run a batch of two zero inputs; set ``meta["shape"]`` of every node, () where its value is not a tensor.

    Raises:
        ValueError: the model fails on inputs of this shape.
    """
    with scoring_mode(model, train=False), torch.no_grad():
        try:
            like = next(model.parameters())
            _Shapes(model, graph=graph).run(torch.zeros(2, *input_shape, device=like.device, dtype=like.dtype))
        except Exception as error:
            raise ValueError(f"this network does not accept inputs of shape {tuple(input_shape)}: {error}") from error


def bare_copy(model: nn.Module) -> nn.Module:
    """A copy with the same parameter objects, but new modules and buffers, which tracing and running modify.

    Raises:
        CannotCopy: as :func:`deep_copy`.
    """
    return deep_copy(model, {id(parameter): parameter for parameter in model.parameters()})


def deep_copy(model: nn.Module, copies: dict[int, Any]) -> nn.Module:
    """``copy.deepcopy``, with one exception type for all its failures, and a check that the copy shares nothing.

    Args:
        copies: replacements to use as copies, by ``id`` of the original object.

    Raises:
        CannotCopy: the model holds a lock, a file or an activation with its graph, or its own ``__deepcopy__`` gives
            the copy modules or parameters of the original.
    """
    given = set(map(id, copies.values()))
    try:
        copied: nn.Module = copy.deepcopy(model, copies)
    except Exception as error:  # depends on what the modules hold
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise CannotCopy(f"this network cannot be copied ({reason})") from error
    own = set(map(id, (*model.modules(), *model.parameters()))) - given
    if any(id(part) in own for part in (*copied.modules(), *copied.parameters())):
        raise CannotCopy("this network cannot be copied: its copy shares modules or parameters with it")
    return copied


def own_name(node: fx.Node) -> str:
    """The name of the function, method or module that a node calls."""
    return str(getattr(node.target, "__name__", node.target))


def value_and_slope_at_zero(node: fx.Node, module: nn.Module | None, dims: int) -> tuple[float, float]:
    """Value and derivative (by autograd) of a pointwise function at zero."""
    with torch.enable_grad():
        zero = torch.zeros((1,) * dims, dtype=torch.float64, requires_grad=True)
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda _: zero.clone())
        function: Any = module or (getattr(Tensor, str(node.target)) if node.op == "call_method" else node.target)
        value = function(*args, **kwargs)
        return value.item(), torch.autograd.grad(value, zero)[0].item()


def reduces_positions_only(node: fx.Node, dims: int) -> bool:
    """Whether a reduction is over positions only, not over examples or channels."""
    reduced: Any = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", ())
    reduced = reduced if isinstance(reduced, (tuple, list)) else (reduced,)
    return bool(reduced) and all(isinstance(dim, int) and dim % dims > 1 for dim in reduced)


def is_width_independent(node: fx.Node) -> bool:
    """Whether a node reads only properties that do not depend on the width: sizes of other dims, type, device."""
    arguments: Any = list(node.args[1:])
    if node.target is getattr and arguments != ["shape"]:
        return arguments[0] in ("dtype", "device", "ndim")
    if node.target is not getattr and (node.op, node.target) != ("call_method", "size"):
        return False
    if node.target is getattr or not arguments:
        arguments = [user.args[1] if user.target is operator.getitem else None for user in node.users]
    dims = len(node.all_input_nodes[0].meta["shape"])
    return not node.kwargs and all(_excludes_dim_1(index, dims) for index in arguments)


def _excludes_dim_1(index: Any, dims: int) -> bool:
    if isinstance(index, slice):
        return fx.Node not in map(type, (index.start, index.stop, index.step)) and 1 not in range(dims)[index]
    return isinstance(index, int) and index % dims != 1


def flattens_to_rows(node: fx.Node) -> bool:
    """Whether a view or reshape has the arguments (x.size(0), -1), in any spelling."""
    sizes: Any = node.args[1:]
    sizes = sizes[0] if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes
    if len(sizes) != 2 or sizes[1] != -1 or not isinstance(sizes[0], fx.Node):
        return False
    arguments, sized = sizes[0].args[1:], sizes[0].target
    if sized is operator.getitem and isinstance(sizes[0].args[0], fx.Node):
        sized = sizes[0].args[0].target
        sized = "size" if sized is getattr else sized
    return sized == "size" and arguments == (0,)
