"""A batch in pieces, for memory that does not hold all of it at once."""

import math


def most_pieces(batch: int) -> int:
    """In how many pieces a batch of so many images may be taken: none of them has a single image, if the batch has not.

    BatchNorm cannot train on one image, or, where it sees several places of it, takes that image's statistics for those
    of all.
    """
    return max(1, batch // 2)


def sizes(batch: int, pieces: int) -> list[int]:
    """Images in each piece of a batch that is to be taken in so many, or in fewer where a piece would have one image.

    All pieces are equal but for the last ones.
    """
    size = math.ceil(batch / min(pieces, most_pieces(batch)))
    count = math.ceil(batch / size)
    if batch % size != 1:
        return [size] * (count - 1) + [batch - size * (count - 1)]
    count = max(1, count - (size == 2))  # a last piece of one image: spread over the others
    least, more = divmod(batch, count)
    return [least + 1] * more + [least] * (count - more)
