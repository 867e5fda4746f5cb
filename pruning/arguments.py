"""Checks of the arguments of :func:`pruning.prune` and :func:`pruning.diagnostics.diagnose`, made before anything runs.

Every function raises ValueError, in one line: what is wrong, where, and what to pass instead.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import cycle, islice
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor, nn

from pruning.batch_streams import BatchStream

Batch = tuple[Tensor, Tensor]
Batches = Iterable[Batch] | Callable[[int], Iterable[Batch]]
Loss = Callable[[Tensor, Tensor], Tensor]
MOST = 5000  # batches of an iterator: one that gives more is taken for endless

_PAIRS = (
    "a list of (inputs, labels) pairs, such as [(images, labels)], a DataLoader of such pairs, or a function of the"
    " round that returns a list"
)


def loss_function(loss: str | Loss, known: Mapping[str, Loss]) -> Loss:
    """Resolve a loss: its name in ``known``, or a function."""
    if isinstance(loss, str) and loss in known:
        return known[loss]
    if isinstance(loss, str) or not callable(loss):
        names = ", ".join(map(repr, known))
        raise ValueError(f"loss: one of {names}, or a function of (logits, labels), not {loss!r}")
    return loss


def check_method(method: object) -> None:
    """Accept a text only; whether a method has this name is checked later."""
    if not isinstance(method, str):
        raise ValueError(f"method: a name, such as 'snip' or 'package.module:function', not {method!r}")


def check_sparsity(sparsity: object) -> None:
    """Accept a number in [0, 1)."""
    if isinstance(sparsity, bool) or not isinstance(sparsity, Real):
        raise ValueError(f"sparsity: a number, the fraction of the weights to remove, in [0, 1), not {sparsity!r}")
    fraction = float(sparsity)
    if not 0 <= fraction < 1:
        percent = f"; for {fraction:g} % write {fraction / 100:g}" if 1 < fraction < 100 else ""
        raise ValueError(f"sparsity: a fraction in [0, 1), not {sparsity}{percent}")


def check_generator(generator: object) -> None:
    """Accept a generator on the CPU only, so that all devices get the same draws."""
    if not isinstance(generator, torch.Generator):
        raise ValueError(f"generator: a torch.Generator, such as torch.Generator().manual_seed(0), not {generator!r}")
    if generator.device.type != "cpu":
        raise ValueError(
            f"generator: it is on {generator.device}; make it on the CPU, torch.Generator(), also for a model on a GPU"
        )


def check_input_shape(shape: object) -> None:
    """Accept positive sizes of one input, or None."""
    if shape is None:
        return
    sizes = list(shape) if isinstance(shape, Iterable) and not isinstance(shape, (str, Tensor)) else None
    if sizes is None or not all(isinstance(size, Integral) and int(size) > 0 for size in sizes):
        raise ValueError(f"input_shape: the sizes of one input, such as (3, 32, 32), not {shape!r}")


def check_weights(weights: Mapping[str, Tensor]) -> None:
    """Check that gradients can be computed for all weights and their scores compared."""
    if torch.is_inference_mode_enabled():
        raise ValueError(
            "pruning takes gradients, which torch.inference_mode() disables: call it outside (torch.no_grad() is fine)"
        )
    devices = {weight.device: name for name, weight in weights.items()}
    if len(devices) > 1:
        (first, one), (second, other), *_ = devices.items()
        raise ValueError(f"the model is on several devices, {one} on {first} and {other} on {second}: move it to one")
    for name, weight in weights.items():
        if weight.is_inference():
            raise ValueError(
                f"{name} was made under torch.inference_mode(), which disables gradients: build the model outside"
            )
        if weight.is_meta:
            raise ValueError(f"{name} is on the meta device and has no values: build the model on a real one")
        if weight.dtype in (torch.float16, torch.bfloat16):
            raise ValueError(f"{name} is in half precision, in which saliencies vanish: prune model.float()")


def check_trainable(model: nn.Module) -> None:
    """Check that at least one parameter requires gradients, as masks are made for training."""
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError(
            "every parameter of the model is frozen (requires_grad is False), so nothing would be trained;"
            " call model.requires_grad_(True)"
        )


def supply(batches: Batches, device: torch.device, number: int = 1) -> Callable[[int], Sequence[Batch]]:
    """A function from round to batches.

    Args:
        batches: a collection, such as a list, or an iterator that ends is read once, and is the same in every round. A
            DataLoader, or another iterable that can be read again and has no length like a list's, is read on by
            ``number`` batches a round, which are moved to the device; ``itertools.cycle`` too.
        device: of the model.
        number: of batches that the method needs in each round.
    """
    if callable(batches):
        draw = batches
        return lambda step: pairs(draw(step), device, f"batches of round {step}")
    if isinstance(batches, Iterable) and not isinstance(batches, Collection) and _is_endless(batches):
        stream = BatchStream(batches)
        return lambda step: pairs(map(partial(_moved, device), stream.take(number)), device, f"batches of round {step}")
    if isinstance(batches, Iterator):
        batches = list(islice(batches, MOST + 1))
        if len(batches) > MOST:
            raise ValueError(
                f"batches: the iterator has given {MOST:,} batches and not ended; pass the DataLoader itself, or"
                " lambda step: [next(iterator)]"
            )
    fixed = pairs(batches, device)
    return lambda step: fixed


def _is_endless(batches: Iterable[Batch]) -> bool:
    """Whether an iterable can be read for any number of rounds: it starts again, by itself or when asked to."""
    return isinstance(batches, cycle) or not isinstance(batches, Iterator)


def _moved(device: torch.device, batch: Any) -> Any:
    """The batch with its tensors on the device, where a loader leaves them on the CPU."""
    if not isinstance(batch, (tuple, list)):
        return batch
    return [part.to(device) if isinstance(part, Tensor) else part for part in batch]


def pairs(batches: Any, device: torch.device, where: str = "batches") -> Sequence[Batch]:
    """The batches as a list of pairs of tensors on ``device``. Tensors of ``torch.inference_mode()`` are copied."""
    if isinstance(batches, (Tensor, str, Mapping)) or not isinstance(batches, Iterable):
        raise ValueError(f"{where}: {_PAIRS}, not a {type(batches).__name__}")
    return [_pair(batch, device, f"{where}: number {number}") for number, batch in enumerate(batches)]


def _pair(batch: Any, device: torch.device, where: str) -> Batch:
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        many = f" of {len(batch)}" if isinstance(batch, (tuple, list)) else ""
        raise ValueError(f"{where} is a {type(batch).__name__}{many}; pass {_PAIRS}")
    for name, tensor in zip(("inputs", "labels"), batch, strict=True):
        if not isinstance(tensor, Tensor):
            raise ValueError(f"{where} has {name} that are not a tensor but a {type(tensor).__name__}; pass {_PAIRS}")
        if tensor.device != device:
            raise ValueError(f"{where} has {name} on {tensor.device}, and the model is on {device}: move one of them")
    inputs, labels = (tensor.clone() if tensor.is_inference() else tensor for tensor in batch)
    if inputs.ndim == 0 or len(inputs) == 0:
        raise ValueError(f"{where} has no inputs (shape {list(inputs.shape)}); leave it out")
    return inputs, labels
