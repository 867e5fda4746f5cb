"""Scores: what a method returned, checked in one place before any mask is made of it."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from pruning.masks import Scores

DTYPES = (torch.float32, torch.float64)


def checked(method: str, scores: object, weights: Mapping[str, Tensor]) -> Scores:
    """The scores in the order of ``weights``, detached, once it is sure that every weight has one.

    Whether they are finite is left to :func:`check_finite`.

    Args:
        method: its name, for the error.
        scores: what its function returned.
        weights: the prunable weights by parameter name.

    Raises:
        ValueError: naming the method, the parameter, and what was wanted.
    """
    if not isinstance(scores, Mapping):
        raise ValueError(
            f"method {method} returned {_kind(scores)}; wanted: a dict of one tensor of scores for each of the"
            f" {len(weights)} prunable parameters ({_some(weights)})"
        )
    if missing := [name for name in weights if name not in scores]:
        raise ValueError(
            f"method {method} gave no scores for {_some(missing)}; wanted: one tensor of scores for each of the"
            f" {len(weights)} prunable parameters"
        )
    if extra := [name for name in scores if name not in weights]:
        raise ValueError(
            f"method {method} gave scores for {_some(extra)}; wanted: scores of the {len(weights)} prunable"
            f" parameters alone ({_some(weights)})"
        )
    for name, weight in weights.items():
        _check_tensor(method, name, scores[name], weight)
    return {name: scores[name].detach() for name in weights}


def check_finite(method: str, scores: Scores) -> None:
    """Make sure that no score is NaN or infinite.

    One look at all sums together: a sum is finite unless a score is not, or the sum overflows.

    Raises:
        ValueError: naming the method and the parameter.
    """
    if torch.stack([score.sum().double() for score in scores.values()]).isfinite().all():
        return
    for name, score in scores.items():
        if not score.isfinite().all():
            kinds = {"NaN": score.isnan(), "infinite": score.isinf()}
            counts = " and ".join(f"{int(flags.sum())} {kind}" for kind, flags in kinds.items() if flags.any())
            raise ValueError(
                f"method {method}: of the {score.numel()} scores of {name}, {counts}; wanted: finite numbers. The loss"
                " or its gradient overflowed, unless the method makes them itself"
            )


def _check_tensor(method: str, name: str, score: object, weight: Tensor) -> None:
    right = (
        isinstance(score, Tensor)
        and score.shape == weight.shape
        and score.dtype in DTYPES
        and score.device == weight.device
        and score.layout == torch.strided
    )
    if not right:
        raise ValueError(
            f"method {method}: the scores of {name} are {_kind(score)}; wanted: a tensor {list(weight.shape)} of"
            f" float32 or float64 on {weight.device}"
        )


def _kind(value: object) -> str:
    if not isinstance(value, Tensor):
        return "None" if value is None else f"of type {type(value).__module__}.{type(value).__name__}"
    layout = "" if value.layout == torch.strided else f" in layout {value.layout}"
    return f"a tensor {list(value.shape)} of {str(value.dtype).removeprefix('torch.')} on {value.device}{layout}"


def _some(names: Iterable[object], most: int = 3) -> str:
    listed = [str(name) for name in names]
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
