"""Remarks: caveats on masks that say less about the method than their sparsity suggests."""

from collections.abc import Iterator

SHARE = 0.001  # of the kept weights: below it, ties of float32 scores are chance


class PruningWarning(UserWarning):
    """The masks keep the requested number of weights, but cover only part of the network or are partly arbitrary."""


def remarks(
    kept: int | None, tied_kept: int | None, tied_candidates: int | None, unconserved_layers: int | None
) -> Iterator[str]:
    """Sentences on the masks of one trial, from the numbers in its record; none if there is no caveat.

    Args:
        kept: weights kept in total.
        tied_kept: of them, those chosen by index.
        tied_candidates: number of weights with the same score that they were chosen from.
        unconserved_layers: layers in which SynFlow's scores are not conserved.
    """
    if kept and tied_kept and tied_candidates and tied_kept > 1 and tied_kept >= SHARE * kept:
        yield (
            f"{tied_kept:,} of the {kept:,} kept weights were chosen by index, not by score: {tied_candidates:,} tie"
            " at the threshold (weights that start at zero, or units without a gradient, all score zero)"
        )
    if unconserved_layers:
        yield (
            f"in {unconserved_layers:,} layers SynFlow's scores cancel or vanish, so that rounding decides: the network"
            " normalises by the statistics of its input, ends in a softmax, or saturates; its flow is not conserved"
        )
