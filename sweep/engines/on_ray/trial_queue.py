"""The trial queue: from which Tune takes trials, one when it has room for it."""

import pickle
from collections.abc import Mapping, Sequence
from typing import Any

from ray.tune.search import Searcher

from sweep.config.grid import trial_id
from sweep.config.trial_config import TrialConfig
from sweep.engines.on_ray.not_restored import NotRestored
from sweep.engines.stop import Stop


class TrialQueue(NotRestored, Searcher):
    """Hands out trials in order, until none is left or none may start.

    Tune calls what gives it trials a searcher. Of a grid it would make all trials at once, and work longer at each the
    more there are.

    Args:
        trials: in the order in which they are handed out.
        shares: of a GPU, by label of an architecture.
        stop: of the launch.
    """

    def __init__(self, trials: Sequence[TrialConfig], shares: Mapping[str, float], stop: Stop):
        super().__init__()
        self._trials, self._shares, self._stop = iter(trials), shares, stop

    def suggest(self, trial_id: str) -> Any:
        """The config of Tune's next trial, whose id Tune has chosen; or that there is none."""
        trial = next(self._trials, None) if self._stop.may_start else None
        return Searcher.FINISHED if trial is None else {"trial": self._spec(trial)}

    def _spec(self, trial: TrialConfig) -> dict[str, Any]:
        share = self._shares[trial.architecture.label]
        return {"id": trial_id(trial), "pickled": pickle.dumps(trial), "gpu_share": share}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tune's searchers learn from results; this one has nothing to learn."""

    def save(self, checkpoint_path: str) -> None:
        """Tune's searchers can be restored; this one is not."""

    def restore(self, checkpoint_path: str) -> None:
        """As :meth:`save`."""

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """As :meth:`save`."""
