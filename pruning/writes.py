"""Writes: what a method must not write to, and how it is noticed."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from pruning.problem import Problem


@contextmanager
def refused(model: nn.Module, method: str) -> Iterator[None]:
    """Give every parameter of ``model`` the values back that it has now, whatever the method writes to it.

    They are compared by value: a write through ``tensor.data`` leaves no other trace. (Buffers and all else are copies
    while a method scores, see :func:`pruning.functional.unchanged`.)

    Raises:
        ValueError: a parameter was written to: naming the method and the parameter.
    """
    before = {name: (tensor, tensor.detach().clone()) for name, tensor in model.named_parameters()}
    try:
        yield
    finally:
        changed = {name: pair for name, pair in before.items() if not _equal(*pair)}
        with torch.no_grad():
            for tensor, values in changed.values():
                tensor.copy_(values)
    if changed:
        raise ValueError(
            f"method {method} wrote to {next(iter(changed))} of the network in place; it has its values back. A method"
            " only reads: work on a copy, such as weight.abs() instead of weight.abs_()"
        )


def _equal(tensor: Tensor, before: Tensor) -> bool:
    """Whether all values are the same, NaN being the same as NaN."""
    values = tensor.detach()
    return torch.equal(values, before) or bool(((values == before) | (values.isnan() & before.isnan())).all())


class Writes:
    """Notices what is written, while weights are scored, to the tensors that the next rounds need as they are."""

    def __init__(self, problem: Problem):
        self._masks = dict(problem.masks)
        self._batches = [tensor for batch in problem.batches for tensor in batch if isinstance(tensor, Tensor)]
        self._before = self._versions()

    def check(self, method: str) -> None:
        """Make sure that there were none.

        Raises:
            ValueError: naming the method, and what was written to.
        """
        masks, batches = (now != before for now, before in zip(self._versions(), self._before, strict=True))
        if masks:
            raise ValueError(f"method {method} wrote to problem.masks in place: work on a copy of a mask")
        if batches:
            raise ValueError(
                f"method {method}, or the network, wrote to a batch in place, and the next pass would see another:"
                " begin with a copy, such as images.clone()"
            )

    def _versions(self) -> tuple[list[int], list[int]]:
        """How often each tensor has been written to."""
        masks, batches = (
            [0 if tensor.is_inference() else tensor._version for tensor in tensors]
            for tensors in (self._masks.values(), self._batches)
        )
        return masks, batches
