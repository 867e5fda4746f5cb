"""Splitting a batch into micro-batches, for batches that do not fit into memory."""

import math


def most_pieces(batch: int) -> int:
    """The largest number of pieces into which a batch can be split so that none has a single image.

    BatchNorm cannot train on one value per channel; where one image has several positions, its statistics would be
    those of this image alone.
    """
    return max(1, batch // 2)


def sizes(batch: int, pieces: int) -> list[int]:
    """Images in each piece of a batch: ``pieces`` of them, or fewer if a piece would have a single image.

    All pieces but the last ones are equal.
    """
    size = math.ceil(batch / min(pieces, most_pieces(batch)))
    count = math.ceil(batch / size)
    if batch % size != 1:
        return [size] * (count - 1) + [batch - size * (count - 1)]
    count = max(1, count - (size == 2))  # the last piece would have one image: spread the images evenly
    least, more = divmod(batch, count)
    return [least + 1] * more + [least] * (count - more)
