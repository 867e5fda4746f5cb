"""Passes over shipped networks on the meta device: shapes without numbers."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


class ShapesAlone(TorchDispatchMode):
    """Answers the operations of shipped networks on the meta device for which torch would import its compiler.

    torch's own answers are the same, but that import takes a second and a half, most of the time of a plan.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # otherwise the first call would import it as well

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name == "convolution" and not args[6]:  # not transposed
            images, weight, _, stride, padding, dilation = args[:6]
            sides = _sides(images, weight.shape[2:], stride, padding, dilation)
            return images.new_empty((len(images), len(weight), *sides))
        if name == "addmm":
            return args[0].new_empty((len(args[1]), args[2].shape[1]))
        if name == "max_pool2d_with_indices":
            images, kernel, stride, padding = (*args, [0, 0])[:4]
            pooled = images.new_empty((*images.shape[:2], *_sides(images, kernel, stride, padding, (1, 1))))
            return pooled, pooled
        if name == "_adaptive_avg_pool2d":
            return args[0].new_empty((*args[0].shape[:2], *args[1]))
        if name == "mean" and args[1:] == ([-1, -2], True):
            return args[0].new_empty((*args[0].shape[:2], 1, 1))
        if name in ("relu", "relu_", "add_"):
            return args[0]
        if "batch_norm" in name:
            return args[0], args[0].new_empty(0), args[0].new_empty(0)
        return func(*args, **(kwargs or {}))


def _sides(
    images: Tensor, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int]
) -> list[int]:
    """Height and width of what a window that moves over the images gives."""
    moves = zip(images.shape[2:], kernel, stride, padding, dilation, strict=True)
    return [(side + 2 * pad - apart * (size - 1) - 1) // step + 1 for side, size, step, pad, apart in moves]
