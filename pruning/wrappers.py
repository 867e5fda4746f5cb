"""Wrapped, compiled and lazy modules, which cannot be pruned."""

from torch import jit, nn
from torch.nn.parameter import is_lazy


def refuse_wrapped(model: nn.Module) -> None:
    """Check that a network's weights can be read, and replaced while it runs.

    Raises:
        ValueError: they cannot; the message names the module and what to pass instead.
    """
    if not isinstance(model, nn.Module):
        raise ValueError(f"model: expected a torch.nn.Module, not a {type(model).__name__}")
    for name, module in model.named_modules():
        where, kind = name or "the model", type(module).__name__
        if isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            raise ValueError(f"{where} is wrapped in nn.{kind}, which copies its weights: unwrap it, .module")
        if isinstance(module, jit.ScriptModule):
            raise ValueError(
                f"{where} is a compiled torch.jit module ({kind}), whose weights cannot be replaced: prune the"
                " nn.Module that it was compiled from, and compile afterwards"
            )
        for key, parameter in module._parameters.items():
            if parameter is not None and is_lazy(parameter):
                raise ValueError(
                    f"{key} of {where} has no shape yet ({kind} is lazy): run the network on one batch first"
                )
