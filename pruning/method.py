"""Method: a score under a preset of the one loop."""

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from pruning import scopes
from pruning.masking import Masking, TrainingHorizon
from pruning.masks import Scores
from pruning.options import check, check_declared, check_score, declared, like

ScoreFunction = Callable[..., Scores]
TIMES = ("control", "at initialization", "during training", "after training")


@dataclass(frozen=True)
class Method:
    """A score under a preset of the one loop in ``pruning.prune``.

    Attributes:
        name: as in a config.
        paper: where it was published, for people to read.
        score: Problem -> Scores, its keyword-only arguments being the method's options.
        rounds: default T of a progressive method, None for one that is one-shot by definition.
        truncates: whether the authors' code rounds each round's count down: the method then has the option
            ``truncate``, off by default, which does so in all rounds but the last.
        recover: whether a removed weight may come back in a later round.
        scope: a name of ``pruning.scopes.SCOPES``.
        data: whether it looks at batches.
        removes: False for the dense control alone.
        batches: how many batches a round it needs at the least, given its options.
        masking: for a mask that moves during training or is made after it: the :class:`pruning.masking.Masking`
            that does so, its keyword-only arguments being options too. The score gives the mask to start from.
        starts_dense: whether training starts from the dense network: the mask is made after it.
        time: when its mask is made, one of :data:`TIMES`; "control" for what is only there to be compared with. Unless
            given, it follows from the masking: "at initialization" without one, "after training" where training starts
            dense, else "during training".
        check: called with all options, each of the right type; raises ValueError("option: what is wrong").
        display_name: what tables and figures call it; empty: ``name``.
        colour, marker: of its points and lines in figures, as matplotlib takes them; empty: chosen by its name.
        dash: of its lines: "solid", "dashed", "short", "dashdot", "long_short" or "dashdotdot"; empty: likewise.

    Raises:
        ValueError: a function whose arguments a config could not set.
    """

    name: str
    paper: str
    score: ScoreFunction
    rounds: int | None = None
    truncates: bool = False
    recover: bool = False
    scope: str = "global"
    data: bool = True
    removes: bool = True
    batches: Callable[[Mapping[str, Any]], int] = lambda options: 1
    masking: type[Masking] | None = None
    starts_dense: bool = False
    time: str = ""
    check: Callable[[Mapping[str, Any]], None] = lambda options: None
    display_name: str = ""
    colour: str = ""
    marker: str = ""
    dash: str = ""

    def __post_init__(self) -> None:
        try:
            inspect.signature(self.score)
        except (TypeError, ValueError):  # some functions that are written in C
            raise ValueError(
                f"method {self.name}: its function does not tell which arguments it takes; wrap it in another"
            ) from None
        object.__setattr__(self, "time", self._checked_time())
        check_score(self.name, self.score)
        check_declared(self.name, {**self.score_options, **self.masking_options})

    def _checked_time(self) -> str:
        if self.starts_dense and self.masking is None:
            raise ValueError(f"method {self.name}: starts_dense needs a masking, which makes the mask after training")
        usual = "after training" if self.starts_dense else "during training" if self.masking else "at initialization"
        if self.time not in ("", "control", usual):
            known = f"one of {', '.join(TIMES)}" if self.time not in TIMES else f"{usual!r} by its masking"
            raise ValueError(f"method {self.name}: time: must be {known}, not {self.time!r}")
        return self.time or usual

    @property
    def invertible(self) -> bool:
        """Whether the ablation "invert" means anything: not where training starts from a random mask and moves it."""
        return self.masking is None or self.masking.invertible

    @property
    def shipped(self) -> bool:
        """Whether it is of this project."""
        return self.score.__module__.startswith("pruning.methods.")

    @property
    def summary(self) -> str:
        """First line of the method's docstring."""
        return (inspect.getdoc(self.score) or "").partition("\n")[0]

    @property
    def score_options(self) -> dict[str, Any]:
        """Options of the score alone, with their defaults."""
        return declared(self.score)

    @property
    def masking_options(self) -> dict[str, Any]:
        """Options of the masking alone, with their defaults."""
        return declared(self.masking) if self.masking else {}

    @property
    def options(self) -> dict[str, Any]:
        """Every option a config may set, with its default."""
        progressive = {"rounds": self.rounds, "schedule": "exponential"} if self.rounds is not None else {}
        truncate = {"truncate": False} if self.truncates else {}
        scope = {"scope": "global"} if self.removes and self.scope == "global" else {}
        floor = {"floor": 0.0} if scope else {}
        return {**progressive, **truncate, **scope, **floor, **self.score_options, **self.masking_options}

    def resolve(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """All options, the given ones over the defaults, less those that are off by default and stay so.

        What is off (false, 0) is no part of a trial's name: so a method may get another option without a new
        name for every trial that did without it.

        Raises:
            ValueError: "option: what is wrong and what is valid".
        """
        defaults = self.options
        for name, value in options.items():
            if name not in defaults:
                valid = ", ".join(defaults) or "none"
                raise ValueError(f"{name}: method {self.name} has no option {name!r}; its options: {valid}")
            check(self.name, name, value, defaults[name])
        values = {name: like(options.get(name, default), default) for name, default in defaults.items()}
        scopes.check(values.get("scope", self.scope), values.get("floor", 0.0))
        self.rehearse(values)
        self.check(values)
        return {name: value for name, value in values.items() if value or defaults[name]}

    def rehearse(self, options: Mapping[str, Any], epochs: int = sys.maxsize) -> int:
        """Make the masking for a network of nothing: what it refuses, it refuses now.

        Args:
            options: those that differ from their defaults are enough.
            epochs: of one training; by default there is no end to it.

        Returns:
            The epochs of all its trainings.

        Raises:
            ValueError: "option: what is wrong".
        """
        if self.masking is None:
            return epochs
        horizon = TrainingHorizon(0.0, epochs, steps_per_epoch=1, generator=torch.Generator())
        own = {name: options.get(name, default) for name, default in self.masking_options.items()}
        return self.masking({}, horizon, **own).epochs
