"""How good a network is on a split, and in which precision it computes."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import nn

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

    In evaluation mode and without gradients; the model is left in the mode in which it came.
    """
    device = torch.device(device)
    correct = torch.zeros((), dtype=torch.int64, device=device)
    loss = torch.zeros((), dtype=torch.float64, device=device)
    with _evaluating(model), torch.inference_mode():
        for images, labels in split.batches(batch_size):
            with autocast(device, precision):
                logits = logits_of(model(images))
            correct += (logits.argmax(1) == labels).sum()
            loss += F.cross_entropy(logits.float(), labels, reduction="sum")
    return correct.item() / len(split), loss.item() / len(split)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
