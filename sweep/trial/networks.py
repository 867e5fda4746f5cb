"""The networks of trials: architectures of the grid, made for the images of a data set; what a plan says of them."""

import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

import pruning
from pruning.ablations import REINITIALIZE
from pruning.arguments import check_trainable, check_weights
from pruning.macs import macs, positions
from pruning.outputs import is_single, logits_of
from pruning.share import prunable_share, share_remark
from pruning.standardising import filled
from sweep.config.axes import Choice
from sweep.config.config import SweepConfig
from sweep.config.trial_config import TrialConfig
from sweep.errors import InputError
from sweep.text import one_line
from sweep.trial.shapes import ShapesAlone
from training import data, models, seeding

SAME_AGAIN = (
    "'ablation: reinitialize' would change nothing: the factory makes the same weights when they are drawn again;"
    " leave the ablation out, or set an 'init' that draws them"
)


@dataclass(frozen=True)
class NetworkSummary:
    """What a plan says of an architecture of the grid.

    Attributes:
        prunable: weights that pruning may remove.
        init: how its weights are initialised.
        prunable_share: of all its weights, see :mod:`pruning.share`.
        file: that your own factory was found in; empty for a shipped one.
        warnings: what is probably not meant.
        macs: multiply-accumulates of the dense network for one image.
    """

    prunable: int
    init: str
    file: str = ""
    prunable_share: float = 1.0
    warnings: tuple[str, ...] = ()
    macs: int = 0


def build_network(architecture: Choice, config: data.DataConfig) -> nn.Module:
    """The architecture for a (resolved) data set's images and classes, initialised from the global generators."""
    options = dict(architecture.options)
    init = options.pop("init")
    return models.build(
        architecture.name,
        options,
        classes=cast(int, config.classes),
        channels=data.info(config.name).channels,
        size=config.side,
        init=init,
    )


def drawn_network(trial: TrialConfig, purpose: str, device: str | torch.device = "cpu") -> nn.Module:
    """A trial's network, its weights drawn from (seed, purpose): "weights" are the initial ones."""
    with seeding.seeded(trial.seed, purpose, device=torch.device(device)):
        return build_network(trial.architecture, trial.data).to(device)


def summaries(sweep: SweepConfig) -> dict[str, NetworkSummary]:
    """What there is to say of the grid's architectures, by label.

    Those of your own are built, and answer two images in evaluation and in train mode; shipped ones are not allocated.

    Raises:
        InputError: an architecture that cannot be built for these images, has nothing to prune, or does not answer with
            a logit a class; or a layer to exclude that it does not have.
    """
    again = REINITIALIZE in sweep.grid.used("ablation")
    exclude = sweep.pruning.exclude
    return {each.label: _summary(each, sweep.data, again, exclude) for each in sweep.grid.used("architecture")}


def network_warnings(found: Mapping[str, NetworkSummary]) -> list[str]:
    """One line each, naming the architecture."""
    return [f"grid.architecture: {label}: {text}" for label, network in found.items() for text in network.warnings]


def _summary(architecture: Choice, config: data.DataConfig, again: bool, exclude: Sequence[str]) -> NetworkSummary:
    own = models.is_own(architecture.name)
    with _naming(architecture.label), seeding.seeded(0, "plan"), torch.device("cpu" if own else "meta"):
        model = _quietly_built(architecture, config)
        weights = pruning.prunable(model, exclude)
        if not weights:
            raise ValueError("there is nothing to prune in it: no convolution and no linear layer")
        prunable, init = sum(weight.numel() for weight in weights.values()), dict(architecture.options)["init"]
        share = prunable_share(model, exclude)
        if not own:
            return NetworkSummary(prunable, init, prunable_share=share, macs=_macs(model, config))
        check_weights(weights)
        check_trainable(model)
        told = share_remark(model)
        found = (*(kept := _kept_defaults(architecture, config)), *_check_outputs(model, config, kept))
        if names := filled(model, weights, (data.info(config.name).channels, config.side, config.side)):
            raise ValueError(
                f"{' or '.join(names)} is used only by something made of it that is not zero where it is, as in weight"
                " standardisation: removing weights would remove nothing; compute with the weight itself"
            )
        found += (told,) if told else ()
        if again:
            found += _check_drawn_again(architecture, config)
        return NetworkSummary(prunable, init, models.origin(architecture.name), share, found, _macs(model, config))


def _macs(model: nn.Module, config: data.DataConfig) -> int:
    """Multiply-accumulates for one image."""
    with _quiet(), ShapesAlone() if next(model.parameters()).is_meta else nullcontext():
        uses = positions(model, (data.info(config.name).channels, config.side, config.side))
    return macs(pruning.prunable(model), uses, torch.numel)


def _quietly_built(architecture: Choice, config: data.DataConfig) -> nn.Module:
    """A network, without what its own code or torch warns of on the way: a trial that runs shows it."""
    with _quiet():
        return build_network(architecture, config)


@contextmanager
def _quiet() -> Iterator[None]:
    """Show no warning, and print to standard error what other code prints: a plan answers on standard output."""
    with warnings.catch_warnings(), redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        yield


def _kept_defaults(architecture: Choice, config: data.DataConfig) -> Sequence[str]:
    channels = data.info(config.name).channels
    return models.mismatched_options(architecture.name, dict(architecture.options), channels=channels, size=config.side)


def _check_outputs(model: nn.Module, config: data.DataConfig, kept: Sequence[str]) -> Sequence[str]:
    """See that a network answers two images with logits, in both modes; a line if it answers with more in training.

    Args:
        kept: defaults of its factory that are not those of the images, and may be why it does not.

    Raises:
        ValueError: it does not.
    """
    try:
        outputs: list[Any] = [_answer(model, 2, config, train) for train in (False, True)]
    except Exception as error:
        if not kept:
            raise
        raise ValueError("; ".join([f"{type(error).__name__}: {error}", *kept])) from error
    for mode, output in zip(("", " in train mode"), outputs, strict=True):
        try:
            shape = list(logits_of(output).shape)
        except TypeError as error:
            raise ValueError(f"{error}{mode}") from None
        if shape != [2, config.classes]:
            raise ValueError(f"for 2 images it answers with {shape}{mode}, not with [2, {config.classes}] logits")
    if all(map(is_single, outputs)):
        return ()
    return ("it answers with more than logits: the first output is scored, trained and tested, the others are not",)


def _check_drawn_again(architecture: Choice, config: data.DataConfig) -> tuple[str, ...]:
    """See that a network has other weights when they are drawn again; a line if only some of them are others.

    Raises:
        ValueError: none of them is.
    """
    weights = []
    for purpose in ("weights", "weights, drawn again"):
        with seeding.seeded(0, purpose):
            weights.append(pruning.prunable(_quietly_built(architecture, config)))
    same = [name for name, weight in weights[0].items() if torch.equal(weight, weights[1][name])]
    if len(same) == len(weights[0]):
        raise ValueError(SAME_AGAIN)
    number = f"{len(same)} of {len(weights[0])} prunable tensors"
    return (f"'ablation: reinitialize' leaves {number} as they are: the factory draws the same again",) if same else ()


def _answer(model: nn.Module, images: int, config: data.DataConfig, train: bool) -> Any:
    shape = (images, data.info(config.name).channels, config.side, config.side)
    with torch.no_grad(), _quiet():
        return model.train(train)(torch.zeros(shape))


@contextmanager
def _naming(architecture: str) -> Iterator[None]:
    try:
        yield
    except (Exception, SystemExit) as error:  # a network of the user's may raise anything
        if isinstance(error, ValueError) and str(error).startswith("exclude: "):
            raise InputError(one_line(f"pruning.{error} (grid.architecture: {architecture})")) from error
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        raise InputError(f"grid.architecture: {one_line(f'{architecture}: {kind}{error}')}") from error
