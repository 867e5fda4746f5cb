"""Modules that are no plain ``nn.Module`` of their own: what pruning cannot look into, and what to give it instead."""

from torch import jit, nn
from torch.nn.parameter import is_lazy


def refuse_wrapped(model: nn.Module) -> None:
    """Make sure that a network's weights can be seen, and exchanged for others while it runs.

    Raises:
        ValueError: naming the module, and what to do.
    """
    if not isinstance(model, nn.Module):
        raise ValueError(f"model: a torch.nn.Module, not a {type(model).__name__}")
    for name, module in model.named_modules():
        where, kind = name or "the model", type(module).__name__
        if isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            raise ValueError(f"{where} is wrapped in nn.{kind}, which copies its weights: unwrap it, .module")
        if isinstance(module, jit.ScriptModule):
            raise ValueError(
                f"{where} is a compiled torch.jit module ({kind}), whose weights cannot be exchanged: prune the"
                " nn.Module that it was made of, and compile after that"
            )
        for key, parameter in module._parameters.items():
            if parameter is not None and is_lazy(parameter):
                raise ValueError(
                    f"{key} of {where} has no shape yet ({kind} is lazy): run the network on one batch first"
                )
