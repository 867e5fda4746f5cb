"""Prune any ``nn.Module`` at initialization. Needs torch and no other package of this repository.

pruned = pruning.prune(model, "force", sparsity=0.99, batches=loader)
with pruning.held(model, pruned, optimizer):  # removed weights stay zero
    ...  # any training loop
"""

from textwrap import indent

from pruning import methods  # noqa: F401  (registers them)
from pruning.compaction.compaction import Compaction, compact
from pruning.held import held
from pruning.mask_files import load_masks, save_masks
from pruning.masking import FixedMask, Masking, TrainingHorizon
from pruning.masks import MaskedLayer, Masks, Scores, apply, prunable
from pruning.option_meanings import MethodOption, method_options, options_text
from pruning.overlap import Overlap, overlap
from pruning.problem import Problem
from pruning.prune import prune
from pruning.pruned import Pruned
from pruning.registry import find, names, register
from pruning.remarks import PruningWarning
from pruning.rounds import Round

__version__ = "0.1.0"
__all__ = [
    "Compaction",
    "FixedMask",
    "MaskedLayer",
    "Masking",
    "Masks",
    "MethodOption",
    "Overlap",
    "Problem",
    "Pruned",
    "PruningWarning",
    "Round",
    "Scores",
    "TrainingHorizon",
    "apply",
    "compact",
    "find",
    "held",
    "load_masks",
    "method_options",
    "names",
    "overlap",
    "prunable",
    "prune",
    "register",
    "save_masks",
]

if prune.__doc__:  # python -OO leaves docstrings out
    prune.__doc__ = f"{prune.__doc__.rstrip()}\n\n{indent(options_text(), '    ')}\n"
