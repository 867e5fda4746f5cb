"""Ablations: controls derived from any method's mask. Accuracy that survives one is not due to what it destroys.

``none``               the method as it is;
``shuffle_layerwise``  the mask permuted at random within every tensor, so that layers keep their counts (Su et al.
                       2020, "Sanity-checking pruning methods"; Frankle et al. 2021, "Pruning neural networks at
                       initialization: why are we missing the mark?");
``reinitialize``       the mask unchanged, over newly drawn weights that the method has not seen (Frankle & Carbin
                       2019, "The lottery ticket hypothesis"; Frankle et al. 2021);
``invert``             in every round the lowest scores are kept instead of the highest (Frankle et al. 2021).

This module shuffles; ``pruning.prune(…, invert=True)`` inverts; drawing new weights is left
to the caller that drew the initial ones.
"""

import torch

from pruning.masks import Masks, joined, split

ABLATIONS = NONE, SHUFFLE, REINITIALIZE, INVERT = ("none", "shuffle_layerwise", "reinitialize", "invert")


def shuffle_layerwise(masks: Masks, generator: torch.Generator) -> Masks:
    """New masks with the same number of kept weights in every tensor, at random positions.

    Args:
        masks: are not changed.
        generator: a CPU generator, so that every device gets the same permutations.
    """
    shuffled: Masks = {}
    for name, mask in split(masks).items():
        order = torch.randperm(mask.numel(), generator=generator).to(mask.device)
        shuffled[name] = mask.reshape(-1)[order].reshape(mask.shape)
    return joined(shuffled, masks)
