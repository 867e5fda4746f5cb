"""Rules by operation: the reach of its outputs, from the reach of its inputs.

Reach is 0 or 1 for each element, in float64: 1 where a path from the network's input ends. A rule computes the reach of
the outputs from that of the inputs by sums of products, without differences, so that autograd finds the reverse: which
elements reach the network's output. The form of an operation decides what an element depends on, not the values: a
negative scale, a saturated gate and a softmax close to zero block no path. An output of normalisation or softmax
depends on all elements that are normalised together, one of pooling on its window, one of a product on both factors.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from pruning.tape import Operation

MANY = 1e6  # raises the smallest weight of an element in an interpolation or adaptive pooling to at least 1


class Unknown(Exception):
    """Reach cannot be determined, as for an operation without a rule."""


class Reach(Protocol):
    """Lookup of reach, passed to every rule."""

    def of(self, tensor: Tensor) -> Tensor | None:
        """The reach of each element; None: the tensor does not depend on the input."""

    def factor(self, tensor: Tensor, operation: Operation) -> Tensor:
        """1 where a factor may be nonzero (a kept weight, a nonzero constant), else 0."""


# Returns the reach of each output tensor; None where it is unknown
Rule = Callable[[Operation, Reach], Sequence[Tensor | None]]


def elementwise(operation: Operation, reach: Reach) -> list[Tensor]:
    """Each output element depends on the element at the same index of every input."""
    parts = [part for tensor in operation.tensors if (part := reach.of(tensor)) is not None]
    return [_total([part.expand(output.shape) for part in parts]) for output in operation.outputs]


def layout(operation: Operation, reach: Reach) -> list[Tensor]:
    """The operation moves, repeats or drops elements: apply it to the reach."""

    def stand_in(value: Any) -> Any:
        if isinstance(value, Tensor):
            own = reach.of(value)
            return value if own is None and not value.is_floating_point() else _or_zero(own, value)
        return type(value)(map(stand_in, value)) if isinstance(value, (list, tuple)) else value

    first, rest = operation.args[0], operation.args[1:]
    if any(reach.of(tensor) is not None for tensor in _tensors(rest)):
        raise Unknown(f"{operation.name} at indices that depend on the input")
    source = stand_in(first)
    if operation.name in ("view", "_unsafe_view", "reshape"):
        return [source.reshape(operation.output.shape)]
    if operation.name == "constant_pad_nd":
        rest = rest[:1]
    moved = operation.func(source, *rest, **operation.kwargs)
    return list(moved) if isinstance(moved, (list, tuple)) else [moved]


def same(operation: Operation, reach: Reach) -> list[Tensor]:
    """The same elements in another type or memory layout."""
    return [_or_zero(reach.of(operation.args[0]), operation.args[0])]


def restrided(operation: Operation, reach: Reach) -> list[Tensor]:
    """``as_strided_`` of a vector, as a mean applies it to its result: strides change only along dims of size 1."""
    source = operation.args[0]
    if not operation.written or sum(size > 1 for size in source.shape) > 1:
        raise Unknown(f"{operation.name} of a tensor with several dimensions")
    return same(operation, reach)


def written(operation: Operation, reach: Reach) -> list[Tensor]:
    """``copy_``: the target's reach is replaced."""
    target, source = operation.args[:2]
    return [_or_zero(reach.of(source), source).expand(target.shape).clone()]


def overwritten(operation: Operation, reach: Reach) -> list[Tensor]:
    """``fill_`` and ``zero_``: the reach becomes zero."""
    return [torch.zeros(output.shape, dtype=torch.float64, device=output.device) for output in operation.outputs]


def product(first: int, second: int, run: Callable[[Operation, Tensor, Tensor], Tensor]) -> Rule:
    """The rule of a function that is linear in the arguments at two positions and adds others, such as biases."""

    def rule(operation: Operation, reach: Reach) -> list[Tensor]:
        a, b = operation.args[first], operation.args[second]
        if not isinstance(b, Tensor):  # a scalar
            return [_or_zero(reach.of(a), a) * float(b != 0)]
        terms = []
        if (own := reach.of(a)) is not None:
            terms.append(run(operation, own, reach.factor(b, operation)))
        if (own := reach.of(b)) is not None:
            terms.append(run(operation, reach.factor(a, operation), own))
        for number, tensor in enumerate(operation.args):
            added = reach.of(tensor) if isinstance(tensor, Tensor) and number not in (first, second) else None
            if added is not None:
                terms.append(added.expand(operation.output.shape))
        return [_total(terms)]

    return rule


def _convolution(operation: Operation, inputs: Tensor, weight: Tensor) -> Tensor:
    output: Tensor = torch.ops.aten.convolution(inputs, weight, None, *operation.args[3:])
    return output


def reduction(operation: Operation, reach: Reach) -> list[Tensor]:
    """Each output depends on all elements of its reduction."""
    source = operation.args[0]
    summed = _sum_over(_or_zero(reach.of(source), source), _dims(operation, source))
    return [summed.expand(_kept_dims(operation, source)).reshape(output.shape) for output in operation.outputs]


def mixture(operation: Operation, reach: Reach) -> list[Tensor]:
    """Each output depends on all elements along the dimension: softmax, sorting."""
    if operation.masks:
        raise Unknown(f"{operation.name} of inputs that are masked by −∞")
    source = operation.args[0]
    summed = _sum_over(_or_zero(reach.of(source), source), _dims(operation, source))
    return [summed.expand(output.shape) for output in operation.outputs]


def gated_halves(operation: Operation, reach: Reach) -> list[Tensor]:
    """``glu``: one half gates the other."""
    source = operation.args[0]
    return [_total(list(_or_zero(reach.of(source), source).chunk(2, operation.argument("dim"))))]


def layer_norm(operation: Operation, reach: Reach) -> list[Tensor | None]:
    """Each output depends on all elements of the last dimensions, as many as ``normalized_shape`` has."""
    source = operation.args[0]
    dims = range(source.ndim - len(operation.argument("normalized_shape")), source.ndim)
    return _normalised(operation, reach, list(dims))


def batch_norm(operation: Operation, reach: Reach) -> list[Tensor | None]:
    """Elementwise with running statistics; with batch statistics, outputs depend on all elements of the channel."""
    source = operation.args[0]
    overload = operation.func._overloadname
    own = operation.argument("training", "_no_" not in operation.name) or overload == "no_stats"
    return _normalised(operation, reach, [dim for dim in range(source.ndim) if dim != 1] if own else [])


def group_norm(operation: Operation, reach: Reach) -> list[Tensor | None]:
    """Each output depends on all channels of its group, at all positions."""
    source = operation.args[0]
    own = _or_zero(reach.of(source), source)
    groups = own.reshape(source.shape[0], operation.argument("group"), -1)
    return [_sum_over(groups, [2]).expand(groups.shape).reshape(source.shape), *[None] * (len(operation.outputs) - 1)]


def _normalised(operation: Operation, reach: Reach, dims: list[int]) -> list[Tensor | None]:
    """The reach of the output; None for the statistics that follow it, which modules do not use."""
    source = operation.args[0]
    own = _or_zero(reach.of(source), source)
    return [(_sum_over(own, dims) if dims else own).expand(source.shape), *[None] * (len(operation.outputs) - 1)]


def pooling(operation: Operation, reach: Reach) -> list[Tensor]:
    """Each output depends on all elements of its window."""
    source, output = operation.args[0], operation.outputs[0]
    dims = int(operation.name[operation.name.index("pool") + 4])
    kernel, padding = _per_dim(operation, "kernel_size", dims), _per_dim(operation, "padding", dims)
    stride = _per_dim(operation, "stride", dims) or kernel
    dilation = _per_dim(operation, "dilation", dims) or [1] * dims
    pads: list[int] = []
    for size, out, k, s, p, d in zip(
        source.shape[-dims:], output.shape[-dims:], kernel, stride, padding, dilation, strict=True
    ):
        pads = [p, (out - 1) * s + d * (k - 1) + 1 - p - size, *pads]
    own = _or_zero(reach.of(source), source)
    own = own if own.ndim == dims + 2 else own[None]
    windows = nn.functional.pad(own, pads)
    if max(dilation) > 1:
        convolve = (nn.functional.conv1d, nn.functional.conv2d, nn.functional.conv3d)[dims - 1]
        ones = torch.ones(own.shape[1], 1, *kernel, dtype=own.dtype, device=own.device)
        windows = convolve(windows, ones, stride=stride, dilation=dilation, groups=own.shape[1])
    else:
        average: Any = (nn.functional.avg_pool1d, nn.functional.avg_pool2d, nn.functional.avg_pool3d)[dims - 1]
        windows = average(windows, kernel, stride) * math.prod(kernel)
    return [windows.reshape(out.shape) for out in operation.outputs]


def adaptive_pooling(operation: Operation, reach: Reach) -> list[Tensor]:
    """As :func:`pooling`, with windows that depend on the output's shape."""
    source, output = operation.args[0], operation.outputs[0]
    dims = len(operation.args[1])
    average: Any = (nn.functional.adaptive_avg_pool2d, nn.functional.adaptive_avg_pool3d)[dims - 2]
    averaged = average(_or_zero(reach.of(source), source), output.shape[-dims:]) * MANY
    return [averaged for _ in operation.outputs]


def interpolation(operation: Operation, reach: Reach) -> list[Tensor]:
    """Nearest and linear interpolation, whose weights are never negative."""
    source = operation.args[0]
    return [operation.func(_or_zero(reach.of(source), source), *operation.args[1:], **operation.kwargs) * MANY]


def choice(operation: Operation, reach: Reach) -> list[Tensor]:
    """``where``: a constant condition selects; otherwise outputs depend on the condition and both alternatives."""
    condition, first, second = operation.args[:3]
    if reach.of(condition) is not None:
        return elementwise(operation, reach)
    a, b = (_or_zero(reach.of(tensor), tensor).expand(operation.output.shape) for tensor in (first, second))
    return [torch.where(condition, a, b)]


def masked_fill(operation: Operation, reach: Reach) -> list[Tensor]:
    """Elements that a constant mask overwrites have no reach."""
    source, mask = operation.args[:2]
    if reach.of(mask) is not None:
        return elementwise(operation, reach)
    return [_or_zero(reach.of(source), source).expand(operation.output.shape).masked_fill(mask, 0)]


def embedding(operation: Operation, reach: Reach) -> list[Tensor]:
    """All elements of a row depend on its index."""
    indices = reach.of(operation.args[1])
    if indices is None:
        raise Unknown("an embedding whose table depends on the input")
    return [indices[..., None].expand(operation.output.shape)]


def _total(parts: list[Tensor]) -> Tensor:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _or_zero(own: Tensor | None, tensor: Tensor) -> Tensor:
    return torch.zeros(tensor.shape, dtype=torch.float64, device=tensor.device) if own is None else own


def _sum_over(own: Tensor, dims: list[int]) -> Tensor:
    return own.sum(dims, keepdim=True) if own.ndim else own


def _dims(operation: Operation, source: Tensor) -> list[int]:
    dims = operation.argument("dim")
    if dims is None or dims == []:
        return list(range(source.ndim))
    return [dims] if isinstance(dims, int) else list(dims)


def _kept_dims(operation: Operation, source: Tensor) -> list[int]:
    reduced = {dim % max(1, source.ndim) for dim in _dims(operation, source)}
    return [1 if dim in reduced else size for dim, size in enumerate(source.shape)]


def _per_dim(operation: Operation, name: str, dims: int) -> list[int]:
    values = operation.argument(name)
    values = [values] if isinstance(values, int) else list(values or [])
    return values * dims if len(values) == 1 else values


def _tensors(values: Any) -> list[Tensor]:
    tensors: list[Tensor] = []
    for value in values:
        tensors += [value] if isinstance(value, Tensor) else _tensors(value) if isinstance(value, (list, tuple)) else []
    return tensors


_LAYOUTS = """
    view _unsafe_view reshape _reshape_alias expand permute transpose t squeeze unsqueeze select slice split
    split_with_sizes unsafe_split unsafe_split_with_sizes unbind cat stack flip roll repeat diagonal tril triu unfold
    im2col col2im pixel_shuffle pixel_unshuffle channel_shuffle native_channel_shuffle constant_pad_nd reflection_pad1d
    reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d replication_pad3d index index_select gather
    cumsum
"""
_COPIES = "clone alias detach lift_fresh _to_copy contiguous"
_ELEMENTWISE = """
    abs neg relu gelu silu mish sigmoid tanh elu celu selu leaky_relu hardtanh hardswish hardsigmoid softplus
    log_sigmoid_forward _prelu_kernel softshrink hardshrink threshold exp expm1 exp2 log log1p log2 sqrt rsqrt sin cos
    atan erf pow reciprocal clamp clamp_min clamp_max add sub rsub div maximum minimum sign round floor ceil trunc eq ne
    lt le gt ge logical_not logical_and logical_or isnan isinf nan_to_num lerp addcmul addcdiv atan2 fmod remainder
    rrelu_with_noise native_dropout
"""
_REDUCTIONS = """
    sum mean amax amin max min prod var std var_mean std_mean linalg_vector_norm norm logsumexp any all argmax argmin
"""
_BATCH_NORMS = """
    native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training cudnn_batch_norm miopen_batch_norm
    _batch_norm_with_update _batch_norm_no_update
"""
_POOLINGS = "max_pool2d_with_indices max_pool3d_with_indices avg_pool2d avg_pool3d"
_ADAPTIVE = "_adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_max_pool2d adaptive_max_pool3d"
_INTERPOLATIONS = """
    upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d _upsample_nearest_exact2d
    _upsample_nearest_exact3d upsample_linear1d upsample_bilinear2d upsample_trilinear3d
"""
RULES: dict[str, Rule] = {
    name: rule
    for names, rule in (
        (_LAYOUTS, layout),
        (_COPIES, same),
        (_ELEMENTWISE, elementwise),
        (_REDUCTIONS, reduction),
        ("_softmax _log_softmax _safe_softmax sort", mixture),
        ("glu", gated_halves),
        ("native_layer_norm _fused_rms_norm", layer_norm),
        ("native_group_norm", group_norm),
        (_BATCH_NORMS, batch_norm),
        (_POOLINGS, pooling),
        (_ADAPTIVE, adaptive_pooling),
        (_INTERPOLATIONS, interpolation),
        ("fill zero", overwritten),
        ("as_strided", restrided),
        ("copy", written),
        ("where", choice),
        ("masked_fill", masked_fill),
        ("embedding", embedding),
        ("mm bmm mv dot", product(0, 1, lambda _, a, b: torch.matmul(a, b))),
        ("addmm baddbmm addmv", product(1, 2, lambda _, a, b: torch.matmul(a, b))),
        ("mul", product(0, 1, lambda _, a, b: a * b)),
        ("convolution", product(0, 1, _convolution)),
    )
    for name in names.split()
}
