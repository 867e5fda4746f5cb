"""From scores to masks, round by round: at once on a CPU, without waiting for the device on a GPU.

On a GPU the numbers of a round (how many weights came back, ties, the FORCE objective, whether all scores were finite)
are copied to the host while the next round runs, and looked at then: scores that are not finite end the pruning one
round later, with the same error, before any mask of theirs is given out.
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from pruning import graphs, scopes
from pruning.aside import Aside
from pruning.device_selection import Cut, DeviceSelection, ties
from pruning.masks import Masks, Scores
from pruning.problem import Problem
from pruning.rounds import Round, compare
from pruning.scores import check_finite


class Plan(NamedTuple):
    """How masks are made of scores in every round.

    Attributes:
        method: its name, for errors.
        recover: whether a removed weight may be kept again.
        scope: a name of :data:`pruning.scopes.SCOPES`.
        floor: see :func:`pruning.scopes.select`.
    """

    method: str
    recover: bool
    scope: str
    floor: float


class Selector(Protocol):
    """What makes masks of scores."""

    def masks(self, problem: Problem, scores: Scores) -> Masks:
        """The masks of ``problem.kept`` weights, of checked scores.

        Raises:
            ValueError: the scores of this round, or the one before, are not finite.
        """
        ...

    def rounds(self) -> Iterator[Round]:
        """Every round; asked for at the end.

        Raises:
            ValueError: the last scores are not finite.
        """
        ...


def selector(problem: Problem, plan: Plan) -> Selector:
    """The one for the problem's device; scopes and floors of their own are counted on the host."""
    if graphs.possible(problem.device) and plan.scope == "global" and not plan.floor:
        return DeviceSelector(problem, plan)
    return HostSelector(problem, plan)


class HostSelector:
    """Looks at every round's numbers before the next."""

    def __init__(self, problem: Problem, plan: Plan):
        self._plan, self._done = plan, list[Round]()
        self._before = problem.kept

    def masks(self, problem: Problem, scores: Scores) -> Masks:
        """See :class:`Selector`."""
        check_finite(self._plan.method, scores)
        among = None if self._plan.recover else problem.masks
        masks, found = scopes.selection(scores, problem.kept, among, self._plan.scope, self._plan.floor)
        objective = None if problem.objective is None else float(problem.objective)
        counts = (self._before, problem.kept)
        self._done.append(compare(problem.round, problem.masks, masks, objective, counts, found))
        self._before = problem.kept
        return masks

    def rounds(self) -> Iterator[Round]:
        """See :class:`Selector`."""
        yield from self._done


class DeviceSelector:
    """Looks at a round's numbers after the next round has been launched."""

    def __init__(self, problem: Problem, plan: Plan):
        self._plan, self._done = plan, list[Round]()
        self._selection, self._aside = DeviceSelection(problem.dense), Aside(problem.device)
        self._pending: _Pending | None = None

    def masks(self, problem: Problem, scores: Scores) -> Masks:
        """See :class:`Selector`."""
        before = self._selection.kept
        self._aside.join()  # it reads the last round's scores, which the next ones overwrite
        cut = self._selection.cut(scores, problem.kept, self._plan.recover)
        pending = _Pending(problem, scores, cut, before, self._aside)
        self._finish()
        self._pending = pending
        return cut.masks

    def rounds(self) -> Iterator[Round]:
        """See :class:`Selector`."""
        self._finish()
        yield from self._done

    def _finish(self) -> None:
        if self._pending is not None:
            self._done.append(self._pending.finished(self._plan.method))
            self._pending = None


class _Pending:
    """A round whose numbers are on their way to the host."""

    def __init__(self, problem: Problem, scores: Scores, cut: Cut, before: int, aside: Aside):
        self._round, self._kept, self._before, self._scores = problem.round, problem.kept, before, scores
        self._total = sum(mask.numel() for mask in cut.masks.values())
        objective = problem.objective
        self._objective = None if isinstance(objective, Tensor) else objective
        on_device = [objective] if isinstance(objective, Tensor) else []
        cuda = problem.device.type == "cuda"
        self._numbers = torch.empty(4 + len(on_device), dtype=torch.float64, pin_memory=cuda)
        self._copied = torch.cuda.Event() if cuda else None

        def copy() -> None:
            numbers = torch.stack([value.double() for value in (*cut.numbers(), *on_device)])
            self._numbers.copy_(numbers, non_blocking=True)
            if self._copied is not None:
                self._copied.record()

        read = [cut.above, cut.at, cut.before, cut.after, cut.scores, *on_device]
        aside.run(copy, read if cut.total is None else [*read, cut.total])

    def finished(self, method: str) -> Round:
        """The round, once its numbers have come."""
        if self._copied is not None:
            self._copied.synchronize()
        total, above, at, both, *objective = self._numbers.tolist()
        if not abs(total) < float("inf"):
            check_finite(method, self._scores)
        kept, shared = self._kept, int(both)
        found = objective[0] if objective else self._objective
        density, of_index = kept / self._total, ties(kept, int(above), int(at))
        return Round(self._round, density, kept, kept - shared, self._before - shared, found, *of_index)
