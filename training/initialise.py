"""Initialisers by name, for any network."""

from collections.abc import Callable

from torch import Tensor, nn

from training.suggest import suggest

_WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.GroupNorm)

INITIALISERS: dict[str, Callable[[Tensor], object] | None] = {
    "kaiming_normal": lambda weight: nn.init.kaiming_normal_(weight, mode="fan_in", nonlinearity="relu"),
    "kaiming_uniform": lambda weight: nn.init.kaiming_uniform_(weight, mode="fan_in", nonlinearity="relu"),
    # convolutions only; linear layers keep torch's default, as in torchvision's ResNets and those of SynFlow's authors
    "kaiming_normal_fan_out": lambda weight: nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu"),
    "xavier_normal": nn.init.xavier_normal_,
    "orthogonal": nn.init.orthogonal_,
    "default": None,  # the network's own code
}
_CONVOLUTIONS_ONLY = ("kaiming_normal_fan_out",)


def initialise(model: nn.Module, name: str) -> None:
    """Draw every Conv and Linear weight again, in place, from torch's global generator.

    Biases become 0, normalisation layers the identity. "kaiming_normal_fan_out" draws linear layers as torch does by
    default. "default" changes nothing. Weights on the meta device, which have no values, are skipped (a draw would
    first import torch's compiler, which takes a second).

    Raises:
        ValueError: for an unknown name; the message suggests a known one.
    """
    if name not in INITIALISERS:
        raise ValueError(f"unknown initialisation {name!r}; {suggest(name, INITIALISERS)}")
    draw = INITIALISERS[name]
    if draw is None:
        return
    for module in model.modules():
        if isinstance(module, _WEIGHTED) and not module.weight.is_meta:
            if isinstance(module, nn.Linear) and name in _CONVOLUTIONS_ONLY:
                module.reset_parameters()
                continue
            draw(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, _NORMS) and module.affine and not module.weight.is_meta:
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
