"""Pruned: what pruning returns."""

from dataclasses import dataclass

from pruning.masks import MaskedLayer, Masks, count, layers, sparsity
from pruning.remarks import remarks
from pruning.rounds import Round


@dataclass(frozen=True, repr=False)
class Pruned:
    """What pruning gives: the masks (on the model's device) and how it came to them."""

    masks: Masks
    rounds: tuple[Round, ...]
    seconds: float
    passes: int  # forward and backward passes, each over one batch
    work: int  # the same in forward passes of one input, a backward pass being two
    unconserved: tuple[str, ...] | None = None  # layers whose SynFlow scores cancel or vanish; None: another method
    prunable_share: float = 1.0  # of the network's weights that have a mask, see pruning.share
    not_captured: str | None = None  # why passes on a GPU that were worth capturing ran eagerly
    share_remark: str | None = None  # which weights have none, where they are more than one in a hundred

    def __repr__(self) -> str:
        weights = sum(mask.numel() for mask in self.masks.values())
        return (
            f"Pruned(sparsity={self.sparsity:.6g}, kept={count(self.masks):,} of {weights:,} weights,"
            f" layers={len(self.masks)}, rounds={len(self.rounds)}, passes={self.passes}, seconds={self.seconds:.3g})"
        )

    @property
    def sparsity(self) -> float:
        """The fraction of the weights with a mask that is removed."""
        return sparsity(self.masks)

    def layers(self) -> list[MaskedLayer]:
        """One row for each masked tensor, in the network's order."""
        return layers(self.masks)

    @property
    def tied_kept(self) -> int | None:
        """Weights that the last round kept for their index, of :attr:`tied_candidates`; None without a round."""
        return self.rounds[-1].tied_kept if self.rounds else None

    @property
    def tied_candidates(self) -> int | None:
        """Weights that have the score of the last round's threshold, where there is no room for all; else 0."""
        return self.rounds[-1].tied_candidates if self.rounds else None

    @property
    def remarks(self) -> tuple[str, ...]:
        """What :func:`prune` has warned of: how much has no mask, how far scores decided which weights are kept."""
        unconserved = None if self.unconserved is None else len(self.unconserved)
        of_scores = remarks(count(self.masks), self.tied_kept, self.tied_candidates, unconserved)
        return (*([self.share_remark] if self.share_remark else []), *of_scores)
