"""Initial weights by name, for any network."""

from collections.abc import Callable

from torch import Tensor, nn

from training.suggest import suggest

_WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.GroupNorm)

INITIALISERS: dict[str, Callable[[Tensor], object] | None] = {
    "kaiming_normal": lambda weight: nn.init.kaiming_normal_(weight, mode="fan_in", nonlinearity="relu"),
    "kaiming_uniform": lambda weight: nn.init.kaiming_uniform_(weight, mode="fan_in", nonlinearity="relu"),
    # of convolutions; linear layers as torch has them: so have torchvision's ResNets and those of SynFlow's authors
    "kaiming_normal_fan_out": lambda weight: nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu"),
    "xavier_normal": nn.init.xavier_normal_,
    "orthogonal": nn.init.orthogonal_,
    "default": None,  # whatever the network's own code does
}
_CONVOLUTIONS_ONLY = ("kaiming_normal_fan_out",)


def initialise(model: nn.Module, name: str) -> None:
    """Draw every Conv and Linear weight anew, in place, from torch's global generator.

    Biases become 0, normalisation layers the identity; "kaiming_normal_fan_out" is of convolutions, and linear layers
    are drawn as torch draws them. "default" leaves everything as it is, and so do weights on the
    meta device, which have no values (there, a draw of torch's would first import its compiler, for a second).

    Raises:
        ValueError: for an unknown name, with the nearest known one.
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
