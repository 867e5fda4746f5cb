"""How good a network is on a split, and in which precision it computes."""

import torch
import torch.nn.functional as F
from torch import nn

from pruning.functional import unchanged
from pruning.outputs import logits_of
from training.splits import Split

_LOW_PRECISION = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Forward passes in "fp32", "bf16" or "fp16" where that is safe; weights stay float32."""
    low = _LOW_PRECISION.get(precision)
    return torch.autocast(device.type, dtype=low or torch.bfloat16, enabled=low is not None)


def evaluate(
    model: nn.Module,
    split: Split,
    *,
    device: torch.device | str,
    precision: str = "fp32",
    batch_size: int = 1024,
) -> tuple[float, float]:
    """Accuracy, a fraction in [0, 1], and mean cross-entropy without label smoothing, over every image.

    In evaluation mode and without gradients. The model is left as it came: its mode, its buffers, and no tensor on it
    that training could take no gradient through.
    """
    device = torch.device(device)
    correct = torch.zeros((), dtype=torch.int64, device=device)
    loss = torch.zeros((), dtype=torch.float64, device=device)
    with unchanged(model), torch.inference_mode():
        model.eval()
        for images, labels in split.batches(batch_size):
            with autocast(device, precision):
                logits = logits_of(model(images))
            correct += (logits.argmax(1) == labels).sum()
            loss += F.cross_entropy(logits.float(), labels, reduction="sum")
    return correct.item() / len(split), loss.item() / len(split)
