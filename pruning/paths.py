"""Which kept weights lie on a path from input to output, whatever the network does between its layers.

A weight is *effective* if it is kept, the network's input reaches what it is multiplied with, and the product reaches
the network's output, both through kept weights. Paths are those of the operations that one evaluation consists of (see
:mod:`pruning.path_rules`): a path is open by the form of an operation, not by its values. So biases, scales, gates and
whatever else has no mask closes no path at zero, as it may change in training; zeros in what is no parameter, such as
a constant mask or a padding, do. Contributions that cancel, as in x − x or in attention over values that are all alike,
are paths too. So no weight through which the output depends on the input is taken for cut off.

One input runs through the network and all operations are noted; then reach, 0 or 1 an element, follows them from the
input on, and by autograd back from the output. Sums of zeros and ones are exact at any depth. What is not understood
makes the answer None: an operation without a rule, a step that Python takes by the values of an activation, a kernel
that writes where the dispatcher does not see it.
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
_OF_WEIGHTS = {  # what may change a masked weight before it meets an activation
    *("view", "_unsafe_view", "reshape", "_reshape_alias", "expand", "permute", "transpose", "t", "squeeze"),
    *("unsqueeze", "select", "slice", "split", "split_with_sizes", "unbind", "clone", "alias", "detach", "_to_copy"),
    "mul",
}


def effective(model: nn.Module, masks: Masks, input_shape: Sequence[int]) -> Masks | None:
    """The kept weights on a path from input to output, in evaluation; None: it cannot be told for this network.

    Args:
        masks: by parameter name; what they do not name is kept. The model is not changed.
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
        except NotImplementedError:  # of an operator that no mode may look at
            return None
        parameters = dict(model.named_parameters())
        check(parameters, masks)
        walk = _Walk({parameters[name]: mask for name, mask in masks.items()}, parameters.values())
        try:
            alive = walk.live(tape.operations, exports.tensors, inputs, output)
        except Unknown as reason:
            logger.debug("which weights lie on a path cannot be told: %s", reason)
            return None
    return dict(zip(masks, alive, strict=True))


@contextmanager
def _plain_recurrence(model: nn.Module) -> Iterator[None]:
    """Have recurrent layers run by plain operations, not by one kernel of a library."""
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
    """1 for what is above zero, on the way forward and on the way back."""

    @staticmethod
    def forward(ctx: Any, total: Tensor) -> Tensor:
        return (total > 0.5).to(total.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return (gradients[0] > 0.5).to(gradients[0].dtype)


class _Walk:
    """Follows operations, and holds what is known of the tensors between them.

    A tensor is an activation (it depends on the input), a masked weight or a view of one, free (made of parameters
    without a mask, or drawn at random: any value may come), or else constant.
    """

    def __init__(self, masks: Mapping[Tensor, Tensor], parameters: Iterable[Tensor]):
        self.masks = [mask.double().requires_grad_() for mask in masks.values()]
        self.weights = {id(tensor): mask for tensor, mask in zip(masks, self.masks, strict=True)}
        self.activations: dict[int, Tensor] = {}
        self.free = {_storage(parameter) for parameter in parameters}
        self._shared = set[int]()  # storages that several tensors see
        self._apart = set[int]()  # of these, those whose tensors' reach does not share memory
        self._unset = set[int]()  # storages that nothing has been seen to be written into

    def live(
        self, operations: Sequence[Operation], exported: Sequence[Tensor], inputs: Tensor, output: Tensor
    ) -> list[Tensor]:
        """Which elements of each weight are effective, in the order of the masks.

        Args:
            operations: of one pass.
            exported: tensors whose values left the view of operations.
            inputs: that the network was given.
            output: its logits.

        Raises:
            Unknown: an operation is not understood.
        """
        self.activations[id(inputs)] = torch.ones(inputs.shape, dtype=torch.float64, device=inputs.device)
        for operation in operations:
            self._follow(operation)
        if any(id(tensor) in self.activations for tensor in exported):
            raise Unknown("the values of an activation are used by code that is no operation")
        end = self.activations.get(id(output))
        if end is None:
            raise Unknown("the output is not known to depend on the input")
        total = end.sum()
        if not total.requires_grad:
            return [torch.zeros_like(mask, dtype=torch.bool) for mask in self.masks]
        reverse = torch.autograd.grad(total, self.masks, allow_unused=True, materialize_grads=True)
        return [(mask > 0) & (found > 0.5) for mask, found in zip(self.masks, reverse, strict=True)]

    def _follow(self, operation: Operation) -> None:
        read, name, rule = operation.tensors, operation.name, RULES.get(operation.name)
        self._shared |= {_storage(tensor) for tensor in operation.viewed}
        self._check_set(operation)
        active = sum(id(tensor) in self.activations for tensor in read)
        weighted = any(id(tensor) in self.weights for tensor in read)
        if name in _NEW | _EMPTY or not (active or weighted):
            self._note_constants(operation)
        elif rule is None or operation.func.namespace != "aten":
            raise Unknown(f"the operation {operation.func}")
        elif active and (name in _PRODUCTS or not weighted):
            alone = active == 1 and all(id(tensor) in self.activations for tensor in operation.written)
            if not (rule is elementwise and operation.written and alone):  # else its reach stays
                self._assign(operation, _applied(rule, operation, _Reach(self, self.activations)), self.activations)
        elif not active and name in _OF_WEIGHTS:
            self._assign(operation, _applied(rule, operation, _Reach(self, self.weights)), self.weights)
        elif not active and name in _PRODUCTS:  # of a weight with what depends on no input, such as a class token
            self.free |= {_storage(tensor) for tensor in operation.outputs}
        else:
            raise Unknown(f"{name} of a weight")

    def _assign(self, operation: Operation, reach: Sequence[Tensor | None], known: dict[int, Tensor]) -> None:
        sources = {_storage(known[id(each)]) for each in operation.viewed if id(each) in known}
        for tensor, found in zip(operation.outputs, reach, strict=True):
            if found is None:
                self._unset.add(_storage(tensor))
            elif operation.written:
                self._write(operation, tensor, _Reached.apply(found), known)
            else:
                known[id(tensor)] = found if operation.viewed else _Reached.apply(found)
                if operation.viewed and _storage(found) not in sources:
                    self._apart.add(_storage(tensor))

    def _write(self, operation: Operation, tensor: Tensor, reach: Tensor, known: dict[int, Tensor]) -> None:
        if _storage(tensor) not in self._shared:
            known[id(tensor)] = reach
        elif id(tensor) in known and _storage(tensor) not in self._apart:
            known[id(tensor)].copy_(reach)
        else:
            raise Unknown(f"{operation.name} into a part of a tensor")

    def _note_constants(self, operation: Operation) -> None:
        tensors = (*operation.outputs, *operation.written)
        if operation.name in _RANDOM or (
            operation.name not in _NEW | _EMPTY and any(_storage(tensor) in self.free for tensor in operation.tensors)
        ):
            self.free |= {_storage(tensor) for tensor in tensors}

    def _check_set(self, operation: Operation) -> None:
        written = {_storage(tensor) for tensor in operation.written}
        read = {_storage(tensor) for tensor in operation.tensors} - written
        if read & self._unset and not operation.viewed and operation.name not in _NEW | _EMPTY:
            raise Unknown(f"{operation.name} of memory that an unseen kernel wrote into")
        self._unset -= written
        if operation.name in _EMPTY:
            self._unset |= {_storage(tensor) for tensor in operation.outputs}


class _Reach(NamedTuple):
    """See :class:`pruning.path_rules.Reach`: of activations, or of weights."""

    walk: _Walk
    known: dict[int, Tensor]

    def of(self, tensor: Tensor) -> Tensor | None:
        """0 or 1 for each element."""
        return self.known.get(id(tensor))

    def factor(self, tensor: Tensor, operation: Operation) -> Tensor:
        """0 or 1 for each element."""
        if id(tensor) in self.walk.weights:
            return self.walk.weights[id(tensor)]
        if id(tensor) in self.walk.activations or _storage(tensor) in self.walk.free:
            return torch.ones(tensor.shape, dtype=torch.float64, device=tensor.device)
        if tensor._version != operation.version(tensor):
            raise Unknown("a constant that is written into after it was used")
        return (tensor.detach() != 0).double()


def _applied(rule: Rule, operation: Operation, reach: _Reach) -> Sequence[Tensor | None]:
    try:
        found = rule(operation, reach)
    except Unknown:
        raise
    except Exception as error:  # a call that the rule was not made for
        raise Unknown(f"{operation.name}: {error}") from error
    if any(each is not None and each.shape != out.shape for each, out in zip(found, operation.outputs, strict=True)):
        raise Unknown(f"{operation.name}, called in a way that its rule is not made for")
    return found


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata
