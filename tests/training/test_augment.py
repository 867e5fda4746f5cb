import pytest
import torch

from training import augment
from training.seeding import generator
from training.vision import torchvision

IMAGES = torch.arange(1, 3 * 5 * 5 + 1, dtype=torch.uint8).reshape(1, 3, 5, 5)


def draws(top: int, left: int, flip: bool) -> augment.Draws:
    return augment.Draws(torch.tensor([[top, left]]), torch.tensor([flip]))


def test_the_middle_crop_unflipped_is_the_image_itself():
    assert torch.equal(augment.apply(IMAGES, draws(2, 2, False), crop_padding=2), IMAGES)


def test_a_corner_crop_brings_in_zeros_from_the_padding():
    cropped = augment.apply(IMAGES, draws(0, 4, False), crop_padding=2)
    expected = torch.zeros_like(IMAGES)
    expected[:, :, 2:, :3] = IMAGES[:, :, :3, 2:]  # two rows down, two columns to the left
    assert torch.equal(cropped, expected)


def test_a_flip_mirrors_left_and_right():
    assert torch.equal(augment.apply(IMAGES, draws(0, 0, True), crop_padding=0), IMAGES.flip(3))


@pytest.mark.parametrize("top", range(5))
@pytest.mark.parametrize("left", range(5))
def test_every_crop_equals_torchvisions_pad_and_crop(top: int, left: int):
    functional = torchvision().transforms.functional
    expected = functional.crop(functional.pad(IMAGES, [2, 2, 2, 2]), top, left, 5, 5)
    assert torch.equal(augment.apply(IMAGES, draws(top, left, False), crop_padding=2), expected)


def test_each_image_of_a_batch_gets_its_own_draw():
    batch = IMAGES.repeat(20, 1, 1, 1)
    drawn = augment.draw(20, generator(0, "test"), crop_padding=2, flip=True)
    together = augment.apply(batch, drawn, crop_padding=2)
    for row in range(20):
        alone = augment.apply(IMAGES, drawn.rows(row, row + 1), crop_padding=2)
        assert torch.equal(together[row : row + 1], alone)
    assert len(together.unique(dim=0)) > 10


def test_draws_reach_every_crop_and_half_of_the_flips():
    drawn = augment.draw(10_000, generator(0, "test"), crop_padding=4, flip=True)
    assert len(drawn.corners.unique(dim=0)) == 81
    assert (drawn.corners.min(), drawn.corners.max()) == (0, 8)
    assert abs(drawn.flips.float().mean() - 0.5) < 0.02


def test_without_crop_and_flip_images_stay_as_they_are():
    drawn = augment.draw(1, generator(0, "test"), crop_padding=0, flip=False)
    assert torch.equal(augment.apply(IMAGES, drawn, crop_padding=0), IMAGES)
