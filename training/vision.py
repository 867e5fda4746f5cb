"""torchvision, imported when it is needed, also where its compiled operators do not load: from here, nowhere else.

Its import takes longer than torch's own, since it brings torch's compiler with it; most commands need nothing of it.

Beside a torch of another build (a CUDA wheel of torchvision on a CPU-only torch, say) its C++ library cannot load.
Then two operators do not exist, `nms` and `qnms`, that it registers shape functions for, and the import dies. Nothing
here detects objects, so all that is missing is to declare the two.
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
    """What a call of other people's code returns; called again if it imported a torchvision without operators."""
    try:
        return call()
    except (RuntimeError, ValueError) as error:
        if "torchvision::" not in str(error):
            raise
    torchvision()
    return call()


def _declare_missing_operators() -> torch.library.Library:
    """Declare the operators torchvision's import needs; they last as long as the returned object."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            library.define(f"{name}{_SIGNATURE}")
    return library
