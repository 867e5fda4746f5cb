"""Which kept weights lie on a path from input to output, for any operations between the layers.

A weight is *effective* if it is kept, the network's input reaches the value it is multiplied with, and the product
reaches the network's output, both through kept weights. Paths follow the operations of one evaluation (see
:mod:`pruning.path_rules`). Whether a path passes an operation depends on its form, not on its values. So a bias, scale,
gate or other parameter without a mask blocks no path when it is zero, as it may change in training; a zero that is not
a parameter, such as one of a constant mask or of padding, does. Contributions that cancel, as in x − x or in attention
over identical values, count as paths too. So a weight through which the output depends on the input is always counted.

One input runs through the network, and every operation is recorded. Then reach, 0 or 1 for each element, is propagated
along the operations from the input, and by autograd backward from the output. Sums of zeros and ones are exact at any
depth. The result is None if the network contains an operation without a rule, Python code that branches on the values
of an activation, or a kernel whose writes the dispatcher does not see.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pruning.masks import Masks, check
from pruning.modes import scoring_mode, slow_attention
from pruning.outputs import logits_of
from pruning.path_rules import RULES, Rule, Unknown, elementwise
from pruning.tape import Exports, Operation, Tape

logger = logging.getLogger(__name__)

_PRODUCTS = {"mm", "bmm", "mv", "dot", "addmm", "baddbmm", "addmv", "mul", "convolution"}
_RANDOM = {"rand", "randn", "rand_like", "randn_like", "bernoulli", "normal", "uniform", "exponential", "random"}
_NEW = {"zeros_like", "ones_like", "full_like", "rand_like", "randn_like", "new_zeros", "new_ones", "new_full"}
_EMPTY = {"empty", "empty_strided", "empty_like", "new_empty", "new_empty_strided"}
_OF_WEIGHTS = {  # operations that may be applied to a masked weight before it is multiplied with an activation
    *("view", "_unsafe_view", "reshape", "_reshape_alias", "expand", "permute", "transpose", "t", "squeeze"),
    *("unsqueeze", "select", "slice", "split", "split_with_sizes", "unbind", "clone", "alias", "detach", "_to_copy"),
    "mul",
}


def effective(model: nn.Module, masks: Masks, input_shape: Sequence[int]) -> Masks | None:
    """The kept weights on a path from input to output, in evaluation mode; None if that is unknown (see above).

    Args:
        model: is not changed.
        masks: by parameter name; weights without a mask count as kept.
        input_shape: of one input, without the batch.

    Raises:
        ValueError: the masks belong to another network.
    """
    with scoring_mode(model, train=False), torch.enable_grad(), slow_attention(), _plain_recurrence(model):
        like, tape, exports = next(model.parameters()), Tape(), Exports()
        inputs = torch.ones(1, *input_shape, dtype=like.dtype, device=like.device)
        try:
            with exports, tape:
                output = logits_of(model(inputs))
        except NotImplementedError:  # raised by operators that do not support dispatch modes
            return None
        parameters = dict(model.named_parameters())
        check(parameters, masks)
        walk = _Walk({parameters[name]: mask for name, mask in masks.items()}, parameters.values())
        try:
            alive = walk.live(tape.operations, exports.tensors, inputs, output)
        except Unknown as reason:
            logger.debug("which weights lie on a path is unknown: %s", reason)
            return None
    return dict(zip(masks, alive, strict=True))


@contextmanager
def _plain_recurrence(model: nn.Module) -> Iterator[None]:
    """Run recurrent layers as separate operations instead of one library kernel."""
    if not any(isinstance(module, nn.RNNBase) for module in model.modules()):
        yield
        return
    before = torch.backends.mkldnn.set_flags(_enabled=False, _fp32_precision=None)[0]  # flags() would warn
    try:
        with torch.backends.cudnn.flags(enabled=False):
            yield
    finally:
        torch.backends.mkldnn.set_flags(_enabled=before, _fp32_precision=None)


class _Reached(torch.autograd.Function):
    """1 where the value is above zero, else 0, in the forward and in the backward pass."""

    @staticmethod
    def forward(ctx: Any, total: Tensor) -> Tensor:
        return (total > 0.5).to(total.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return (gradients[0] > 0.5).to(gradients[0].dtype)


class _Walk:
    """Propagates reach along operations, and classifies the tensors between them.

    A tensor is an activation (it depends on the input), a masked weight or a view of one, free (computed from
    parameters without a mask, or drawn at random, so that it may take any value), or else constant.
    """

    def __init__(self, masks: Mapping[Tensor, Tensor], parameters: Iterable[Tensor]):
        self.masks = [mask.double().requires_grad_() for mask in masks.values()]
        self.weights = {id(tensor): mask for tensor, mask in zip(masks, self.masks, strict=True)}
        self.activations: dict[int, Tensor] = {}
        self.free = {_storage(parameter) for parameter in parameters}
        self._shared = set[int]()  # storages that several tensors share
        self._apart = set[int]()  # of these, those whose tensors have reach in separate memory
        self._unset = set[int]()  # storages without a recorded write

    def live(
        self, operations: Sequence[Operation], exported: Sequence[Tensor], inputs: Tensor, output: Tensor
    ) -> list[Tensor]:
        """Which elements of each weight are effective, in the order of the masks.

        Args:
            operations: of one forward pass.
            exported: tensors whose values were read by code other than operations.
            inputs: the network's input.
            output: its logits.

        Raises:
            Unknown: an operation has no rule, or cannot be followed.
        """
        self.activations[id(inputs)] = torch.ones(inputs.shape, dtype=torch.float64, device=inputs.device)
        for operation in operations:
            self._follow(operation)
        if any(id(tensor) in self.activations for tensor in exported):
            raise Unknown("code outside of tensor operations reads the values of an activation")
        end = self.activations.get(id(output))
        if end is None:
            raise Unknown("no recorded path leads from the input to the output")
        total = end.sum()
        if not total.requires_grad:
            return [torch.zeros_like(mask, dtype=torch.bool) for mask in self.masks]
        reverse = torch.autograd.grad(total, self.masks, allow_unused=True, materialize_grads=True)
        return [(mask > 0) & (gradient > 0.5) for mask, gradient in zip(self.masks, reverse, strict=True)]

    def _follow(self, operation: Operation) -> None:
        read, name, rule = operation.tensors, operation.name, RULES.get(operation.name)
        self._shared |= {_storage(tensor) for tensor in operation.viewed}
        self._check_initialized(operation)
        active = sum(id(tensor) in self.activations for tensor in read)
        weighted = any(id(tensor) in self.weights for tensor in read)
        if name in _NEW | _EMPTY or not (active or weighted):
            self._record_free(operation)
        elif rule is None or operation.func.namespace != "aten":
            raise Unknown(f"the operation {operation.func}")
        elif active and (name in _PRODUCTS or not weighted):
            alone = active == 1 and all(id(tensor) in self.activations for tensor in operation.written)
            if not (rule is elementwise and operation.written and alone):  # otherwise the reach does not change
                self._assign(operation, _apply_rule(rule, operation, _Reach(self, self.activations)), self.activations)
        elif not active and name in _OF_WEIGHTS:
            self._assign(operation, _apply_rule(rule, operation, _Reach(self, self.weights)), self.weights)
        elif not active and name in _PRODUCTS:  # times a tensor that no input changes, such as a class token
            self.free |= {_storage(tensor) for tensor in operation.outputs}
        else:
            raise Unknown(f"{name} of a weight")

    def _assign(self, operation: Operation, reach: Sequence[Tensor | None], known: dict[int, Tensor]) -> None:
        sources = {_storage(known[id(base)]) for base in operation.viewed if id(base) in known}
        for tensor, own in zip(operation.outputs, reach, strict=True):
            if own is None:
                self._unset.add(_storage(tensor))
            elif operation.written:
                self._write(operation, tensor, _Reached.apply(own), known)
            else:
                known[id(tensor)] = own if operation.viewed else _Reached.apply(own)
                if operation.viewed and _storage(own) not in sources:
                    self._apart.add(_storage(tensor))

    def _write(self, operation: Operation, tensor: Tensor, reach: Tensor, known: dict[int, Tensor]) -> None:
        if _storage(tensor) not in self._shared:
            known[id(tensor)] = reach
        elif id(tensor) in known and _storage(tensor) not in self._apart:
            known[id(tensor)].copy_(reach)
        else:
            raise Unknown(f"{operation.name} into a part of a tensor")

    def _record_free(self, operation: Operation) -> None:
        tensors = (*operation.outputs, *operation.written)
        if operation.name in _RANDOM or (
            operation.name not in _NEW | _EMPTY and any(_storage(tensor) in self.free for tensor in operation.tensors)
        ):
            self.free |= {_storage(tensor) for tensor in tensors}

    def _check_initialized(self, operation: Operation) -> None:
        written = {_storage(tensor) for tensor in operation.written}
        read = {_storage(tensor) for tensor in operation.tensors} - written
        if read & self._unset and not operation.viewed and operation.name not in _NEW | _EMPTY:
            raise Unknown(f"{operation.name} of memory without a recorded write")
        self._unset -= written
        if operation.name in _EMPTY:
            self._unset |= {_storage(tensor) for tensor in operation.outputs}


class _Reach(NamedTuple):
    """The reach of activations, or of weights; see :class:`pruning.path_rules.Reach`."""

    walk: _Walk
    known: dict[int, Tensor]

    def of(self, tensor: Tensor) -> Tensor | None:
        """Reach of each element, 0 or 1; None: the tensor is not in ``known``."""
        return self.known.get(id(tensor))

    def factor(self, tensor: Tensor, operation: Operation) -> Tensor:
        """1 where a factor of a product may be nonzero, else 0."""
        if id(tensor) in self.walk.weights:
            return self.walk.weights[id(tensor)]
        if id(tensor) in self.walk.activations or _storage(tensor) in self.walk.free:
            return torch.ones(tensor.shape, dtype=torch.float64, device=tensor.device)
        if tensor._version != operation.version(tensor):
            raise Unknown("a constant that is overwritten after its use")
        return (tensor.detach() != 0).double()


def _apply_rule(rule: Rule, operation: Operation, reach: _Reach) -> Sequence[Tensor | None]:
    try:
        outputs = rule(operation, reach)
    except Unknown:
        raise
    except Exception as error:  # the rule does not cover this call
        raise Unknown(f"{operation.name}: {error}") from error
    if any(own is not None and own.shape != out.shape for own, out in zip(outputs, operation.outputs, strict=True)):
        raise Unknown(f"{operation.name}, in a call that its rule does not cover")
    return outputs


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata
