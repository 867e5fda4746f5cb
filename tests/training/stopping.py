"""Trainings that are stopped and go on as if in another process, and the bits of all they have. ``from stopping import …``.

An event is the making of a training, a step, or the end of an epoch: it can be stopped after each.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from training import checkpoint
from training.config import TrainConfig
from training.data import DataConfig, Dataset, Splits, split
from training.loop import EpochResult, Training

RECIPE = TrainConfig(epochs=3, batch_size=16, learning_rate=0.05, schedule="cosine", warmup_epochs=0.5)


def bright_rows(
    count: int = 64, *, classes: int = 4, validation: int = 0, seed: int = 0, device: str = "cpu", **settings: Any
) -> Splits:
    """Random 8x8 grey images, learnable: a class is a pair of bright rows."""
    rng = np.random.default_rng(1)
    labels = np.arange(count) % classes
    images = rng.integers(0, 128, (count, 1, 8, 8), np.uint8)
    for row in (0, 1):
        images[np.arange(count), 0, 2 * labels + row] += 127
    config = DataConfig(
        "digits",
        **{"format": "builtin", "classes": classes, "image_size": 8, "crop_padding": 1, "flip": True} | settings,
        validation=validation,
    )
    dataset = Dataset(images, labels, images, labels, classes, (0.3,), (0.4,), "exact", f"{count}/{classes}")
    return split(dataset, config, seed, device)


@dataclass
class Made:
    """All that a trial makes before it trains. The last two take states to the original's shapes and back."""

    model: nn.Module
    masking: Any = None
    widen: Callable[[dict[str, Any]], dict[str, Any]] = lambda state: state
    narrow: Callable[[dict[str, Any]], dict[str, Any]] = lambda state: state
    end: Callable[[], nn.Module | None] = lambda: None  # where the model is a part, the original at the end


Make = Callable[[], Made]


class Stopped(Exception):
    pass


@dataclass
class Life:
    """What one process has done: its epochs, and the checkpoint of its end or, at the end of all, everything's bits."""

    results: list[EpochResult]
    saved: bytes = b""
    bits: dict[str, str] | None = None
    events: int = 0


def live(
    make: Make,
    splits: Splits,
    config: TrainConfig = RECIPE,
    saved: bytes = b"",
    stop: int | None = None,
    **options: Any,
) -> Life:
    """Build everything again, resume from the saved state, and stop after so many events."""
    torch.manual_seed(len(saved))  # whatever another process has done
    made, life = make(), Life([])
    state = checkpoint.load(saved) if saved else None
    if state and made.masking:
        made.masking.load(state["masking"])
    first: int | None = state["first_epoch"] if state else 1

    def happened() -> None:
        life.events += 1
        if life.events == stop:
            life.saved = save(training, made, first)
            raise Stopped

    while first is not None:
        training = Training(
            made.model, splits, config, 0, masking=made.masking, device="cpu", first_epoch=first, on_step=happened, **options
        )  # fmt: skip
        try:
            if state:
                training.load(made.narrow(state["training"]))
                state = None
            else:
                happened()
            for result in training.run():
                life.results.append(replace(result, images_per_second=0, epoch_seconds=0))
                happened()
        except Stopped:
            return life
        first = made.masking.after_training(made.model) if made.masking else None
    life.bits = bits(checkpoint.load(save(training, made, first)) | {"end": tensors(made.end())})
    return life


def of_training(saved: bytes) -> dict[str, str]:
    """The bits of a checkpoint, without its time measurements."""
    return {path: leaf for path, leaf in bits(checkpoint.load(saved)).items() if path != "/training/seconds"}


def save(training: Training, made: Made, first_epoch: int | None) -> bytes:
    masking = made.masking.state() if made.masking else None
    state = {"training": made.widen(training.state()), "masking": masking, "first_epoch": first_epoch}
    return checkpoint.dump(state)


def tensors(model: nn.Module | None) -> dict[str, torch.Tensor]:
    return {} if model is None else {**dict(model.named_parameters()), **dict(model.named_buffers())}


def bits(value: Any, path: str = "") -> dict[str, str]:
    """A hash of every leaf; of tensors: type, shape and bits."""
    if isinstance(value, dict):
        return {at: leaf for key, each in value.items() for at, leaf in bits(each, f"{path}/{key}").items()}
    if isinstance(value, list):
        return bits(dict(enumerate(value)), path)
    if isinstance(value, torch.Tensor):
        content = value.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        return {path: f"{value.dtype} {list(value.shape)} {hashlib.sha256(content).hexdigest()}"}
    return {path: repr(value)}


def assert_stops_anywhere(make: Make, splits: Splits, config: TrainConfig = RECIPE, **options: Any) -> Life:
    """Stop after every event, and go on; then stop after every event and go on, all in one."""
    expected = live(make, splits, config, **options)
    chain = Life([], live(make, splits, config, stop=1, **options).saved)
    for stop in range(1, expected.events):
        before = live(make, splits, config, stop=stop, **options)
        after = live(make, splits, config, before.saved, **options)
        assert (before.results + after.results, after.bits) == (expected.results, expected.bits), f"after event {stop}"
        assert of_training(chain.saved) == of_training(before.saved), f"the checkpoint after event {stop}"
        link = live(make, splits, config, chain.saved, stop=1, **options)
        chain = replace(link, results=chain.results + link.results)
    assert chain.events == 1
    chain = replace(live(make, splits, config, chain.saved, **options), results=chain.results)
    assert (chain.results, chain.bits) == (expected.results, expected.bits)
    return expected
