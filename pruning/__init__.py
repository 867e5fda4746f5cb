"""Prune any ``nn.Module`` at initialization. Needs torch and no other package of this repository.

pruned = pruning.prune(model, "force", sparsity=0.99, batches=[(images, labels)])
pruning.apply(model, pruned.masks)      # and again after every optimizer step
"""

from pruning import methods  # noqa: F401  (registers them)
from pruning.compaction.compaction import Compaction, compact
from pruning.masking import FixedMask, Masking, TrainingHorizon
from pruning.masks import Masks, Scores, apply, prunable
from pruning.problem import Problem
from pruning.prune import Pruned, prune
from pruning.registry import find, names, register
from pruning.remarks import PruningWarning
from pruning.rounds import Round

__all__ = [
    "Compaction",
    "FixedMask",
    "Masking",
    "Masks",
    "Problem",
    "Pruned",
    "PruningWarning",
    "Round",
    "Scores",
    "TrainingHorizon",
    "apply",
    "compact",
    "find",
    "names",
    "prunable",
    "prune",
    "register",
]
