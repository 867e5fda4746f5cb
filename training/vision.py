"""The only import of torchvision: on first use, and also where its compiled operators do not load.

Its import takes longer than torch's own, since it imports torch's compiler; most commands do not need it.

With a torch of another build (such as a CUDA wheel of torchvision with a CPU-only torch) its C++ library does not
load. Then the operators `nms` and `qnms`, for which it registers shape functions, do not exist, and its import fails.
They are for object detection, which is not used here, so declaring them is enough.
"""

import functools
import importlib
from collections.abc import Callable
from typing import Any, TypeVar

import torch

T = TypeVar("T")
_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


@functools.cache
def torchvision() -> Any:
    """The package, imported at the first call."""
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    torchvision.library = _declare_missing_operators()  # type: ignore[attr-defined]
    return importlib.import_module("torchvision")


def with_torchvision(call: Callable[[], T]) -> T:
    """Call user code; call it again if it failed by importing torchvision without its operators."""
    try:
        return call()
    except (RuntimeError, ValueError) as error:
        if "torchvision::" not in str(error):
            raise
    torchvision()
    return call()


def _declare_missing_operators() -> torch.library.Library:
    """Declare the operators that torchvision's import needs; they exist as long as the returned object."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            library.define(f"{name}{_SIGNATURE}")
    return library
