"""A batch in pieces: none of a single image, and otherwise as `torch.chunk` cuts it."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.config import TrainConfig
from training.pieces import most_pieces, sizes


@given(batch=st.integers(1, 300), pieces=st.integers(1, 300))
def test_pieces_have_two_images_at_least_and_are_those_of_chunk_where_these_have(batch, pieces):
    found, chunks = sizes(batch, pieces), [len(chunk) for chunk in torch.zeros(batch).chunk(pieces)]
    assert (sum(found), len(found) <= pieces) == (batch, True)
    assert min(found) >= min(2, batch)
    assert max(found) <= max(3, *chunks)
    assert found == chunks or min(chunks) == 1


def test_a_recipe_that_asks_for_pieces_of_a_single_image_is_refused():
    assert TrainConfig(batch_size=16, accumulate=8).accumulate == 8
    with pytest.raises(ValueError, match="accumulate: 9 micro-batches are too many for a batch of 16.*at most 8"):
        TrainConfig(batch_size=16, accumulate=9)
    assert (most_pieces(1), most_pieces(3), most_pieces(128)) == (1, 1, 64)
