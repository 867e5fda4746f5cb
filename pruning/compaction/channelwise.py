"""Operations that keep channels (dim 1) apart, by name: one table for compaction and for PHEW's walks.

A name stands for the function, the method and the torch.nn module: in lower case, without the underscore of the
in-place variant. So ``relu`` is :func:`torch.relu`, ``Tensor.relu_`` and :class:`torch.nn.ReLU`.
"""

from torch import fx, nn

from pruning.compaction.tracing import own_name

# Each output element depends on one input element only, deterministically. Whether zero stays zero: see
# tracing.value_and_slope_at_zero.
_POINTWISE = """
    identity relu relu6 leaky_relu leakyrelu elu selu celu gelu silu mish tanh hardtanh hardswish softsign softshrink
    hardshrink tanhshrink abs neg square pow clamp add sub mul div truediv contiguous clone float
"""
_WINDOWS = """
    max_pool avg_pool adaptive_max_pool adaptive_avg_pool maxpool avgpool adaptivemaxpool adaptiveavgpool
    zeropad reflectionpad replicationpad
"""
_MORE_WINDOWS = "constantpad circularpad lppool fractionalmaxpool maxunpool"
_OTHERS = """
    to sigmoid logsigmoid softplus hardsigmoid threshold rrelu prelu pad interpolate upsample
    upsamplingnearest2d upsamplingbilinear2d unflatten softmin softmax softmax2d logsoftmax
"""
_NORMS = """
    batch_norm group_norm layer_norm batchnorm1d batchnorm2d batchnorm3d syncbatchnorm instancenorm1d instancenorm2d
    instancenorm3d groupnorm layernorm localresponsenorm crossmaplrn2d rmsnorm
"""
_DROPOUTS = "dropout dropout1d dropout2d dropout3d alphadropout featurealphadropout"
_IN_PLACE = {"iadd": "add", "isub": "sub", "imul": "mul", "itruediv": "truediv"}


def _by_dims(kinds: str) -> dict[str, int]:
    return {f"{kind}{dims}d": dims + 2 for kind in kinds.split() for dims in (1, 2, 3)}


POINTWISE = frozenset(_POINTWISE.split())
WINDOW_DIMS = _by_dims(_WINDOWS)  # by name: dimensions of the batched input
SUMS = frozenset({"add", "sub"})
CONCATENATIONS = frozenset({"cat", "concat", "concatenate"})
RESHAPES = frozenset({"flatten", "view", "reshape"})
REDUCTIONS = frozenset({"mean", "sum", "amax", "amin", "squeeze"})
CHANNELWISE = frozenset(
    POINTWISE.union(
        WINDOW_DIMS, _by_dims(_MORE_WINDOWS), RESHAPES, REDUCTIONS, _OTHERS.split(), _NORMS.split(), _DROPOUTS.split()
    )
)  # all operations that keep channels apart, whether or not they keep zeros zero


def function_name(node: fx.Node) -> str:
    """The name of the function or method that a node calls; empty if it is not torch's."""
    module = getattr(node.target, "__module__", None) or "torch"
    name = own_name(node).removesuffix("_")
    return _IN_PLACE.get(name, name) if module.partition(".")[0] in ("torch", "_operator") else ""


def is_in_place(node: fx.Node) -> bool:
    """Whether a node writes to its input."""
    return own_name(node).endswith("_") or own_name(node) in _IN_PLACE


def module_name(kind: type[nn.Module]) -> str:
    """The name of a module's type; empty if it is not torch.nn's."""
    return kind.__name__.lower() if kind.__module__.startswith("torch.nn.modules.") else ""
