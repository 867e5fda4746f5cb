"""The tensors of a network by name."""

from torch import Tensor, nn


def named_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers, those too that a ``state_dict`` leaves out. Not copied, not detached."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}
