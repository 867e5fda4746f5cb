"""The science of masks: prune any ``nn.Module`` at initialization. Imports torch and nothing of the rest.

pruned = pruning.prune(model, "force", sparsity=0.99, batches=[(images, labels)])
pruning.apply(model, pruned.masks)      # and again after every optimizer step
"""

from pruning import methods  # noqa: F401  (registers them)
from pruning.masks import FixedMask, Masks, Scores, apply, prunable
from pruning.problem import Problem
from pruning.prune import Pruned, Round, prune
from pruning.registry import find, names, register

__all__ = [
    "FixedMask",
    "Masks",
    "Problem",
    "Pruned",
    "Round",
    "Scores",
    "apply",
    "find",
    "names",
    "prunable",
    "prune",
    "register",
]
