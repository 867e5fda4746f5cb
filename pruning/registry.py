"""The methods by name: registration, look-up with "did you mean", options found by signature."""

import difflib
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pruning.masks import Scores
from pruning.schedules import SCHEDULES
from pruning.scopes import SCOPES

ScoreFunction = Callable[..., Scores]


@dataclass(frozen=True)
class Method:
    """A score under a preset of the one loop in ``pruning.prune``.

    Attributes:
        name: as in a config.
        paper: where it was published.
        score: Problem -> Scores, its keyword-only arguments being the method's options.
        rounds: default T of a progressive method, None for one that is one-shot by definition.
        recover: whether a removed weight may come back in a later round.
        scope: a name of ``pruning.scopes.SCOPES``.
        data: whether it looks at batches.
        removes: False for the dense control alone.
    """

    name: str
    paper: str
    score: ScoreFunction
    rounds: int | None = None
    recover: bool = False
    scope: str = "global"
    data: bool = True
    removes: bool = True

    @property
    def summary(self) -> str:
        """First line of the method's docstring."""
        return (inspect.getdoc(self.score) or "").partition("\n")[0]

    @property
    def score_options(self) -> dict[str, Any]:
        """Options of the score alone, with their defaults."""
        signature = inspect.signature(self.score).parameters.values()
        return {p.name: p.default for p in signature if p.kind is inspect.Parameter.KEYWORD_ONLY}

    @property
    def options(self) -> dict[str, Any]:
        """Every option a config may set, with its default."""
        progressive = {"rounds": self.rounds, "schedule": "exponential"} if self.rounds is not None else {}
        scope = {"scope": "global"} if self.removes and self.scope == "global" else {}
        return {**progressive, **scope, **self.score_options}

    def resolve(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """All options, the given ones over the defaults.

        Raises:
            ValueError: "option: what is wrong and what is valid".
        """
        defaults = self.options
        for name, value in options.items():
            if name not in defaults:
                valid = ", ".join(defaults) or "none"
                raise ValueError(f"{name}: method {self.name} has no option {name!r}; its options: {valid}")
            _check(self.name, name, value, defaults[name])
        return {name: _like(options.get(name, default), default) for name, default in defaults.items()}


_KINDS: dict[type, str] = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


def _check(method: str, name: str, value: Any, default: Any) -> None:
    kind = type(default)
    accepted = (int, float) if kind is float else (kind,)
    if not isinstance(value, accepted) or isinstance(value, bool) is not (kind is bool):
        raise ValueError(
            f"{name}: method {method} takes {_KINDS.get(kind, kind.__name__)} such as {default!r}, not {value!r}"
        )
    choices = {"schedule": tuple(SCHEDULES), "scope": SCOPES}.get(name)
    if choices and value not in choices:
        raise ValueError(f"{name}: {value!r} is none of {', '.join(choices)}")
    if name == "rounds" and value < 1:
        raise ValueError(f"rounds: must be at least 1, not {value}")
    if (kind is float and not math.isfinite(value)) or (name == "temperature" and value <= 0):
        raise ValueError(f"{name}: must be a finite number{' above 0' if name == 'temperature' else ''}, not {value}")


def _like(value: Any, default: Any) -> Any:
    return float(value) if isinstance(default, float) else value


_METHODS: dict[str, Method] = {}


def register(name: str, *, paper: str, **preset: Any) -> Callable[[ScoreFunction], ScoreFunction]:
    """Decorator: make a score function known as ``name``. ``preset`` are fields of :class:`Method`.

    Raises:
        ValueError: the name is taken.
    """

    def add(score: ScoreFunction) -> ScoreFunction:
        if name in _METHODS:
            raise ValueError(f"a method named {name!r} is registered already, in {_METHODS[name].score.__module__}")
        _METHODS[name] = Method(name=name, paper=paper, score=score, **preset)
        return score

    return add


def names() -> list[str]:
    """Every registered method, in order of registration."""
    return list(_METHODS)


def find(name: str) -> Method:
    """The method of that name.

    Raises:
        ValueError: unknown name, with the nearest known one.
    """
    if name in _METHODS:
        return _METHODS[name]
    near = difflib.get_close_matches(name.lower().replace("-", "_"), _METHODS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(_METHODS)}"
    raise ValueError(f"unknown method {name!r}; {hint}")
