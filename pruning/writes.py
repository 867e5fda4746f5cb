"""Detecting writes of a method to the network's parameters, the masks and the batches."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from pruning.problem import Problem


@contextmanager
def refused(model: nn.Module, method: str) -> Iterator[None]:
    """Restore every parameter of ``model`` that changes inside the context, and raise an error.

    Values are compared, as a write through ``tensor.data`` does not raise a tensor's version. (Buffers and other
    attributes are copies while a method scores, see :func:`pruning.functional.unchanged`.)

    Raises:
        ValueError: a parameter changed; the message names the method and the parameter.
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
            f"method {method} wrote to {next(iter(changed))} of the network in place; its values are restored. Work on"
            " a copy, such as weight.abs() instead of weight.abs_()"
        )


def _equal(tensor: Tensor, before: Tensor) -> bool:
    """Whether all values are equal, where NaN equals NaN."""
    values = tensor.detach()
    return torch.equal(values, before) or bool(((values == before) | (values.isnan() & before.isnan())).all())


class Writes:
    """Detects in-place writes to masks and batches during scoring, which would change later rounds."""

    def __init__(self, problem: Problem):
        self._masks = dict(problem.masks)
        self._batches = [tensor for batch in problem.batches for tensor in batch if isinstance(tensor, Tensor)]
        self._before = self._versions()

    def check(self, method: str) -> None:
        """Check that masks and batches are unchanged.

        Raises:
            ValueError: one was written to; the message names the method.
        """
        masks, batches = (now != before for now, before in zip(self._versions(), self._before, strict=True))
        if masks:
            raise ValueError(f"method {method} wrote to problem.masks in place: work on a copy of a mask")
        if batches:
            raise ValueError(
                f"method {method}, or the network, wrote to a batch in place, which would change the next pass: work on"
                " a copy, such as images.clone()"
            )

    def _versions(self) -> tuple[list[int], list[int]]:
        """The versions of all masks and of all batches: the number of in-place writes to each tensor."""
        masks, batches = (
            [0 if tensor.is_inference() else tensor._version for tensor in tensors]
            for tensors in (self._masks.values(), self._batches)
        )
        return masks, batches
