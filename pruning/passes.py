"""Passes that a method makes again and again: called the first time, captured the second, replayed from then on.

Captured is a pass over batches of one shape, in one mode of the network, where enough like it are still to come
(:data:`WORTH`): to see whether it can be captured, and to capture it, costs about two eager passes. So one-shot methods
on few batches (SNIP, GraSP, ProsPr) run eagerly; FORCE, Iter-SNIP, Iter-GraSP and SynFlow are captured. So are methods
of your own that take :meth:`pruning.problem.Problem.gradients` in many rounds. On every device, these are not captured:

- a network with hooks, which a replay would not call, or inside a mode that watches its operations;
- a pass that waits for the GPU or draws on the host (:mod:`pruning.capturable`);
- NTK-SAP, which draws new weights on the host for every pass, and that takes longer than the pass.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as nn_module
from torch.overrides import _get_current_function_mode_stack
from torch.utils._python_dispatch import _get_current_dispatch_mode

from pruning import graphs
from pruning.capturable import why_not_capturable

Function = Callable[..., Sequence[Tensor]]

WORTH = 10  # passes still to come, for which capturing pays
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


@dataclass
class Cost:
    """Passes so far, each over one batch, and the same in forward passes of one input."""

    passes: int = 0
    work: int = 0


@dataclass(frozen=True)
class Network:
    """What a pass runs on.

    Attributes:
        buffers: those that it reads and writes, by name.
        cost: that it adds itself to.
        static: makes the tensors that it reads as parameters stay the same, with the values of the moment.
    """

    model: nn.Module
    device: torch.device
    buffers: dict[str, Tensor]
    cost: Cost
    static: Callable[[], None]


class Passes:
    """The passes of one problem, by kind.

    Args:
        how: "auto", or "off": never captured.

    Attributes:
        reason: why the last pass that was worth capturing was not; None: none was refused.
    """

    def __init__(self, network: Network, how: str = "auto"):
        if how not in ("auto", "off"):
            raise ValueError(f"graphs: must be auto or off, not {how!r}")
        self._off = how == "off"
        self.reason: str | None = None
        self._network = network
        self._known: dict[Any, CapturedPass | str | None] = {}  # None: seen once
        self._pool: Any = None

    @property
    def captured(self) -> int:
        """How many kinds of passes have been captured."""
        return sum(isinstance(known, CapturedPass) for known in self._known.values())

    def close(self) -> None:
        """Let go of all captured passes."""
        for known in self._known.values():
            if isinstance(known, CapturedPass):
                known.close()
        self._known.clear()

    def run(
        self, name: str, function: Function, inputs: Sequence[Tensor], left: int, lent: bool = False
    ) -> Sequence[Tensor]:
        """What ``function`` gives for these inputs at the problem's parameters.

        Args:
            name: of what the function computes; what it depends on beside its inputs and the parameters.
            inputs: tensors on the problem's device.
            left: how many passes like it are to come, this one included.
            lent: whether it may give tensors that the next pass overwrites.
        """
        if self._off or not graphs.possible(self._network.device):
            return function(*inputs)
        key = (name, *map(_kind, inputs), tuple(module.training for module in self._network.model.modules()))
        if key not in self._known:
            if left > WORTH:
                self._known[key] = None
            return function(*inputs)
        if _watched(self._network.model):
            self.reason = "its modules have hooks, or a mode watches its operations"
            return function(*inputs)
        if self._known[key] is None:
            self._known[key] = self._captured(function, inputs)
        known = self._known[key]
        if isinstance(known, CapturedPass):
            found = known.replay(inputs)
            return found if lent else [output.clone() for output in found]
        self.reason = known
        return function(*inputs)

    def _captured(self, function: Function, inputs: Sequence[Tensor]) -> "CapturedPass | str":
        """The pass as a replay, or why it is none."""
        if self._pool is None and self._network.device.type == "cuda":
            self._pool = torch.cuda.graph_pool_handle()
        try:
            return CapturedPass(self._network, function, inputs, self._pool)
        except graphs.NotCapturable as error:
            return str(error)


class CapturedPass:
    """One pass with inputs of its own, which every batch is copied into.

    Raises:
        NotCapturable: it cannot be captured.
    """

    def __init__(self, network: Network, function: Function, inputs: Sequence[Tensor], pool: Any):
        self._network, cost = network, network.cost
        self._inputs = [tensor.detach().clone() for tensor in inputs]
        if any(own.stride() != given.stride() for own, given in zip(self._inputs, inputs, strict=True)):
            raise graphs.NotCapturable("its inputs overlap in memory")
        network.static()
        before, self._cost = replace(cost), Cost()

        def run() -> Sequence[Tensor]:
            passes, work = cost.passes, cost.work
            found = function(*self._inputs)
            self._cost = Cost(cost.passes - passes, cost.work - work)
            return found

        buffers = {name: buffer.clone() for name, buffer in network.buffers.items()}
        try:
            reason = why_not_capturable(run, network.device, network.model, warmed_up=True)
            if reason is not None:
                raise graphs.NotCapturable(reason)
            self._replay = graphs.capture(run, network.device, pool, warm_ups=0)
        finally:
            cost.passes, cost.work = before.passes, before.work
            for name, buffer in buffers.items():
                network.buffers[name].copy_(buffer)

    def close(self) -> None:
        """Let go of the graph, which holds this pass by the function that was captured."""
        del self._replay

    def replay(self, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        """The pass for other inputs of the same kind, at the parameters as they are now; overwritten by the next."""
        self._network.static()
        for own, given in zip(self._inputs, inputs, strict=True):
            own.copy_(given)
        cost = self._network.cost
        passes, work = cost.passes + self._cost.passes, cost.work + self._cost.work
        found = self._replay.replay()
        cost.passes, cost.work = passes, work
        return found


def _kind(tensor: Tensor) -> tuple[Any, ...]:
    return tuple(tensor.shape), tensor.stride(), tensor.dtype


def _watched(model: nn.Module) -> bool:
    """Whether a pass does something in Python besides its operations."""
    everywhere = (f"_global{name}" for name in _HOOKS)
    return (
        any(getattr(module, name, None) for module in model.modules() for name in _HOOKS)
        or any(getattr(nn_module, name, None) for name in everywhere)
        or bool(_get_current_function_mode_stack())
        or _get_current_dispatch_mode() is not None
    )
