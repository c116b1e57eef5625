"""What a discriminator is shown: changed at random, each image for itself; gradients reach the images."""

import pytest
import torch

from pipeline.training.steps.augmentation import AUGMENTATIONS, augmented
from tests.operator_contract import random_image


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_images_are_changed_each_for_itself_and_alike_with_one_seed(name):
    image_BCHW = random_image(6, 3, 16, 24, dtype=torch.float64)
    torch.manual_seed(1)
    first = augmented(image_BCHW, [name])
    assert first.shape == image_BCHW.shape
    changes = [
        tuple((after - before).flatten().tolist()) for after, before in zip(first, image_BCHW, strict=True)
    ]
    assert len(set(changes)) > 3
    torch.manual_seed(1)
    assert torch.equal(augmented(image_BCHW, [name]), first)
    assert not torch.equal(augmented(image_BCHW, [name]), first)
    assert augmented(image_BCHW, []) is image_BCHW


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_gradients_reach_the_images_that_are_judged(name):
    image_BCHW = random_image(2, 3, 6, 6, dtype=torch.float64).requires_grad_()

    def seeded(image_BCHW):
        torch.manual_seed(2)
        return augmented(image_BCHW, [name])

    assert torch.autograd.gradcheck(seeded, image_BCHW)


def test_moved_images_keep_their_values_and_bring_in_zeros():
    image_BCHW = random_image(32, 1, 16, 16) + 1
    moved_BCHW = augmented(image_BCHW, ["translation"])
    shares = set()
    for before_1HW, after_1HW in zip(image_BCHW, moved_BCHW, strict=True):
        inside = after_1HW != 0
        assert set(after_1HW[inside].tolist()) <= set(before_1HW.flatten().tolist())
        shares.add(int(inside.sum()))
    assert min(shares) >= 14 * 14
    assert len(shares) > 3


def test_half_of_the_sides_is_cut_out_or_less_at_the_border():
    cut_BCHW = augmented(torch.ones(64, 2, 16, 16), ["cutout"])
    lost = (cut_BCHW == 0).sum(dim=(2, 3))
    assert torch.equal(lost[:, 0], lost[:, 1])
    assert int(lost.max()) == 64
    assert int(lost.min()) < 64
