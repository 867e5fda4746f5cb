"""Ablations: controls that are made of any method's mask. What survives them was not owed to what they destroy.

``none``               the method as it is;
``shuffle_layerwise``  the mask permuted within every tensor: each layer keeps its count, at other places (Su et al.
                       2020, "Sanity-checking pruning methods"; Frankle et al. 2021, "Pruning neural networks at
                       initialization: why are we missing the mark?");
``reinitialize``       the mask as it is, over freshly drawn weights, which the method has not seen (Frankle & Carbin
                       2019, "The lottery ticket hypothesis"; Frankle et al. 2021);
``invert``             in every round the lowest scores are kept instead of the highest (Frankle et al. 2021).

Shuffling is done here, inverting by ``pruning.prune(…, invert=True)``; to draw new weights is up to whoever drew the
first ones.
"""

import torch

from pruning.masks import Masks, joined, split

ABLATIONS = NONE, SHUFFLE, REINITIALIZE, INVERT = ("none", "shuffle_layerwise", "reinitialize", "invert")


def shuffle_layerwise(masks: Masks, generator: torch.Generator) -> Masks:
    """New masks with the same number of kept weights in every tensor, at random places.

    Args:
        masks: stay as they are.
        generator: a CPU generator, so that every device gets the same permutations.
    """
    shuffled: Masks = {}
    for name, mask in split(masks).items():
        places = torch.randperm(mask.numel(), generator=generator).to(mask.device)
        shuffled[name] = mask.reshape(-1)[places].reshape(mask.shape)
    return joined(shuffled, masks)
