"""Remarks: what a reader of a mask must know before believing what it says about the method."""

from collections.abc import Iterator

SHARE = 0.001  # of the kept weights: float32 scores of millions of weights tie here and there by chance


class PruningWarning(UserWarning):
    """The masks keep as many weights as asked for, but of less of the network, or less by scores, than it seems."""


def remarks(
    kept: int | None, tied_kept: int | None, tied_candidates: int | None, unconserved_layers: int | None
) -> Iterator[str]:
    """Sentences about one trial's masks, by the numbers in its record; none where there is nothing to say.

    Args:
        kept: weights kept in all.
        tied_kept: of them, those chosen by index.
        tied_candidates: out of how many of the same score.
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
