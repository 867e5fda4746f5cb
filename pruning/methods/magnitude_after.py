"""Magnitude pruning after training (Han, Pool, Tran & Dally, NeurIPS 2015): train, prune, retrain.

    s_i = |θ_i| after training;  n·d^(r/R) of n weights are kept after round r of R, d = 1 − sparsity

Training starts with the dense network. Then the smallest weights are removed, and the others are trained further from
their current values, for the last ``retrain`` epochs of the recipe at the learning rates of these epochs. The default,
0, is all epochs again: learning-rate rewinding (Renda, Frankle & Carbin, ICLR 2020), which needs no choice of a rate.
With milestones and a few epochs this is fine-tuning at the last, small rate. ``rounds`` repeats pruning and retraining,
so that R rounds cost R retrainings, each with a new optimizer. The ablation ``invert`` keeps the smallest weights. The
kept count is exact after each round, and thresholds are global unless ``scope`` says otherwise.

Authors' code: not consulted. In the paper, each layer has its own threshold, proportional to the standard deviation of
its weights, so that no sparsity is set beforehand; the closest option here is ``scope: layerwise``, the same density in
every layer. The lottery tickets' code uses a global threshold.
"""

from torch import nn

from pruning import scopes
from pruning.masking import Masking, TrainingHorizon
from pruning.masks import Masks, Scores, check_numbers, kept_count
from pruning.methods.magnitude import magnitude
from pruning.problem import Problem
from pruning.registry import register
from pruning.schedules import kept_counts


class MagnitudeAfter(Masking):
    """Remove the smallest weights after each training but the last.

    Args:
        masks: at the start of training; all True for a dense start.
        horizon: length of one training, and the final sparsity.
        rounds: the number of prunings and retrainings.
        retrain: epochs of a retraining, the last ones of the recipe; 0: all of them.
        scope: a name of :data:`pruning.scopes.SCOPES`.
        floor: the least density of a layer, see :func:`pruning.scopes.select`.

    Raises:
        ValueError: "option: what is wrong", for an option out of range.
    """

    horizon: TrainingHorizon

    def __init__(
        self,
        masks: Masks,
        horizon: TrainingHorizon,
        *,
        rounds: int = 1,
        retrain: int = 0,
        scope: str = "global",
        floor: float = 0.0,
    ):
        super().__init__(masks, horizon)
        if rounds < 1:
            raise ValueError(f"rounds: must be at least 1, not {rounds}")
        if not 0 <= retrain <= horizon.epochs:
            raise ValueError(f"retrain: must be between 0 and the {horizon.epochs} epochs of training, not {retrain}")
        scopes.check(scope, floor)
        self._times = rounds
        self._restart = horizon.epochs - (retrain or horizon.epochs) + 1
        self._scope, self._floor = scope, floor

    @property
    def epochs(self) -> int:
        """Epochs of the first training and of all retrainings."""
        return self.horizon.epochs + self._times * (self.horizon.epochs - self._restart + 1)

    def after_training(self, model: nn.Module) -> int | None:
        """Prune, unless the last round is done. Returns the first epoch of the next training."""
        done, total = len(self.rounds), sum(mask.numel() for mask in self.masks.values())
        if done == self._times:
            return None
        kept = kept_counts(total, kept_count(total, self.horizon.sparsity), self._times, "exponential")[done]
        sign = -1 if self.horizon.invert else 1
        scores = {name: sign * model.get_parameter(name).detach().abs() for name in self.masks}
        check_numbers(scores)
        self._change(*scopes.selection(scores, kept, self.masks, self._scope, self._floor))
        return self._restart


@register(
    "magnitude_after",
    paper="arXiv:1506.02626",
    data=False,
    masking=MagnitudeAfter,
    starts_dense=True,
    display_name="Magnitude, after training",
    colour="#988818",
    marker=">",
    dash="short",
)
def magnitude_after(problem: Problem) -> Scores:
    """Magnitude pruning of the trained network, then retraining the kept weights."""
    return magnitude(problem)
