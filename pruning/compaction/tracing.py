"""Tracing: a network's torch.fx graph, and what can be asked of its nodes."""

import copy
import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from pruning.modes import scoring_mode


class CannotCopy(ValueError):
    """A network of which there can be no second one."""


class _Tracer(fx.Tracer):
    def __init__(self, leaves: tuple[type[nn.Module], ...]):
        super().__init__()
        self._leaves = leaves

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, self._leaves) or super().is_leaf_module(m, module_qualified_name)


def trace(model: nn.Module, *leaves: type[nn.Module], train: bool = False) -> fx.Graph:
    """The graph of a model's code, in which torch.nn's modules and the given types are not looked into.

    Tracing may leave constants hanging on the model: give it a :func:`bare_copy`.

    Raises:
        ValueError: its code branches on values, or fails.
    """
    with scoring_mode(model, train):
        try:
            return _Tracer(leaves).trace(model)
        except Exception as error:  # it runs the model's own code
            raise ValueError(f"torch.fx cannot trace this network: {error}") from error


def signature(graph: fx.Graph) -> list[tuple[Any, ...]]:
    """What a graph does, node by node. Flags are left out: ``training`` is one."""

    def plain(arguments: Any) -> str:
        return str(fx.node.map_aggregate(arguments, lambda leaf: None if isinstance(leaf, bool) else leaf))

    return [(node.op, node.target, plain(node.args), plain(node.kwargs)) for node in graph.nodes]


class _Shapes(fx.Interpreter):
    extra_traceback = False

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        n.meta["shape"] = tuple(result.shape) if isinstance(result, Tensor) else ()
        return result


def note_shapes(model: nn.Module, graph: fx.Graph, input_shape: Sequence[int]) -> None:
    """Run zeros through the graph, in a batch of two; ``meta["shape"]`` of its nodes, () for what is no tensor.

    Raises:
        ValueError: the model cannot take such inputs.
    """
    with scoring_mode(model, train=False), torch.no_grad():
        try:
            like = next(model.parameters())
            _Shapes(model, graph=graph).run(torch.zeros(2, *input_shape, device=like.device, dtype=like.dtype))
        except Exception as error:
            raise ValueError(f"this network takes no inputs of shape {tuple(input_shape)}: {error}") from error


def bare_copy(model: nn.Module) -> nn.Module:
    """The same parameters, but modules and buffers of its own: tracing and running leave marks on those.

    Raises:
        CannotCopy: see :func:`deep_copy`.
    """
    return deep_copy(model, {id(parameter): parameter for parameter in model.parameters()})


def deep_copy(model: nn.Module, copies: dict[int, Any]) -> nn.Module:
    """``copy.deepcopy``, for networks that anybody has written.

    Args:
        copies: by ``id``, the copy that an object is to have.

    Raises:
        CannotCopy: it keeps a lock, a file, an activation with its graph; or it has its own way to copy itself, by
            which the copy has modules or parameters of the original.
    """
    given = set(map(id, copies.values()))
    try:
        copied: nn.Module = copy.deepcopy(model, copies)
    except Exception as error:  # of whatever the modules keep
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise CannotCopy(f"this network cannot be copied ({reason})") from error
    own = set(map(id, (*model.modules(), *model.parameters()))) - given
    if any(id(part) in own for part in (*copied.modules(), *copied.parameters())):
        raise CannotCopy("this network cannot be copied: its copy shares modules or parameters with it")
    return copied


def own_name(node: fx.Node) -> str:
    """Of the function, method or module that a node calls."""
    return str(getattr(node.target, "__name__", node.target))


def at_zero(node: fx.Node, module: nn.Module | None, dims: int) -> tuple[float, float]:
    """Value and slope, as autograd has it, of a pointwise function at zero."""
    with torch.enable_grad():
        zero = torch.zeros((1,) * dims, dtype=torch.float64, requires_grad=True)
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda _: zero.clone())
        function: Any = module or (getattr(Tensor, str(node.target)) if node.op == "call_method" else node.target)
        value = function(*args, **kwargs)
        return value.item(), torch.autograd.grad(value, zero)[0].item()


def of_positions(node: fx.Node, dims: int) -> bool:
    """Whether a reduction is over positions, none of it over examples or channels."""
    over: Any = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", ())
    over = over if isinstance(over, (tuple, list)) else (over,)
    return bool(over) and all(isinstance(dim, int) and dim % dims > 1 for dim in over)


def asks_no_width(node: fx.Node) -> bool:
    """Whether a node asks a tensor for nothing but what it has at any width: other sizes, type and device."""
    asked: Any = list(node.args[1:])
    if node.target is getattr and asked != ["shape"]:
        return asked[0] in ("dtype", "device", "ndim")
    if node.target is not getattr and (node.op, node.target) != ("call_method", "size"):
        return False
    if node.target is getattr or not asked:
        asked = [user.args[1] if user.target is operator.getitem else None for user in node.users]
    dims = len(node.all_input_nodes[0].meta["shape"])
    return not node.kwargs and all(_spares_width(index, dims) for index in asked)


def _spares_width(index: Any, dims: int) -> bool:
    if isinstance(index, slice):
        return fx.Node not in map(type, (index.start, index.stop, index.step)) and 1 not in range(dims)[index]
    return isinstance(index, int) and index % dims != 1


def into_rows(node: fx.Node) -> bool:
    """Whether a view or reshape says (x.size(0), -1), in one of its spellings."""
    sizes: Any = node.args[1:]
    sizes = sizes[0] if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes
    if len(sizes) != 2 or sizes[1] != -1 or not isinstance(sizes[0], fx.Node):
        return False
    asked, sized = sizes[0].args[1:], sizes[0].target
    if sized is operator.getitem and isinstance(sizes[0].args[0], fx.Node):
        sized = sizes[0].args[0].target
        sized = "size" if sized is getattr else sized
    return sized == "size" and asked == (0,)
