"""torchvision, also where its compiled operators do not load: import it from here, nowhere else.

torchvision registers shape functions for `nms` and `qnms` at import. Beside a torch of another build (a CUDA
wheel of torchvision on a CPU-only torch, say) its C++ library cannot load, those two operators do not exist,
and the import dies. Nothing here detects objects, so all that is missing is to declare the two.
"""

import torch

__all__ = ["BasicBlock", "Bottleneck", "Conv2dNormActivation", "torchvision"]

_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def _declare_missing_operators() -> torch.library.Library:
    """Declare the operators torchvision's import needs; they last as long as the returned object."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            library.define(f"{name}{_SIGNATURE}")
    return library


try:
    import torchvision
except RuntimeError as error:
    if "torchvision::" not in str(error):
        raise
    _library = _declare_missing_operators()
    import torchvision

from torchvision.models.resnet import BasicBlock, Bottleneck  # noqa: E402
from torchvision.ops import Conv2dNormActivation  # noqa: E402
