"""The probe: measures architectures in this process, which must be none that launches or runs trials."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch

from sweep.engines.sharing.subjects import Subject
from sweep.trial import provenance
from sweep.trial.gpu_use import GpuUse, NotMeasured, measure
from sweep.trial.run import AnyDataset
from sweep.trial.settings import RunSettings


class Request(NamedTuple):
    """A subject, and what is known of it."""

    subject: Subject
    known: tuple[GpuUse, ...] = ()


class Answer(NamedTuple):
    """What was found out of a subject on one kind of GPU: its use, or why that is unknown.

    Attributes:
        label: of the subject.
        is_new: whether it was measured just now.
    """

    label: str
    use: GpuUse | None = None
    error: str = ""
    is_new: bool = False


def probe(requests: Sequence[Request], dataset: AnyDataset, settings: RunSettings) -> Iterator[Answer]:
    """An answer for each request on each kind of GPU that this process sees; errors are answers too."""
    for device in _kinds(settings.device):
        for request in requests:
            yield _answer(request, dataset, replace(settings, device=device))


def _kinds(device: str) -> list[str]:
    """The first device of each name and size."""
    if device != "cuda":
        return [device]
    every = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return list({_card(each): each for each in reversed(every)}.values())[::-1]


def _card(device: str) -> tuple[str, int]:
    return provenance.device_name(device), provenance.device_memory(device)


def _answer(request: Request, dataset: AnyDataset, settings: RunSettings) -> Answer:
    label = request.subject.label
    try:
        if settings.device.startswith("cuda"):
            torch.cuda.set_device(settings.device)
        for use in request.known:
            if (use.card, use.card_bytes) == _card(settings.device):
                return Answer(label, use)
        return Answer(label, measure(request.subject.trials, dataset, settings), is_new=True)
    except NotMeasured as error:
        return Answer(label, error=str(error))
    except BaseException as error:  # a network or a method of the user's may raise anything; its trials will tell
        if isinstance(error, KeyboardInterrupt):
            raise
        return Answer(label, error=f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
