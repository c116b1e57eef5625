"""Holes filled by pull-push: laws that hold whatever the image, and small cases by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.networks.pull_push import pull_push


def holes(side: int, share: float = 0.5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(4)
    return (torch.rand(1, 1, side, side, generator=generator) > share).float()


def test_known_pixels_stay_and_hidden_ones_are_not_looked_at():
    image_BCHW, mask_B1HW = torch.rand(1, 3, 32, 32), holes(32)
    filled_BCHW = pull_push(image_BCHW, mask_B1HW, 4)
    known = mask_B1HW.bool().expand_as(image_BCHW)
    assert torch.equal(filled_BCHW[known], image_BCHW[known])
    other_BCHW = torch.where(known, image_BCHW, torch.nan)
    assert torch.equal(pull_push(other_BCHW, mask_B1HW, 4), filled_BCHW)


def test_a_flat_image_comes_back():
    flat_BCHW = torch.full((1, 1, 32, 32), 0.3)
    torch.testing.assert_close(pull_push(flat_BCHW, holes(32, 0.9), 5), flat_BCHW)


def test_stays_between_the_known_values():
    image_BCHW, mask_B1HW = torch.rand(1, 3, 64, 64), holes(64, 0.95)
    filled_BCHW, known = pull_push(image_BCHW, mask_B1HW, 6), mask_B1HW.bool().expand_as(image_BCHW)
    assert filled_BCHW.min() >= image_BCHW[known].min() - 1e-6
    assert filled_BCHW.max() <= image_BCHW[known].max() + 1e-6


def test_follows_a_slope_better_than_its_mean_does():
    ramp_11HW = torch.linspace(0, 1, 64).expand(1, 1, 64, 64)
    mask_11HW = torch.ones(1, 1, 64, 64)
    mask_11HW[..., 20:36, 20:36] = 0
    error_11HW = (pull_push(ramp_11HW, mask_11HW, 5) - ramp_11HW).abs()
    hidden_11HW = ramp_11HW[..., 20:36, 20:36]
    assert error_11HW.max() < 0.6 * (hidden_11HW - hidden_11HW.mean()).abs().max()


@pytest.mark.parametrize("value", [0.0, 0.7])
def test_one_level_by_hand(value):
    # One 2 x 2 block knows 1 pixel, its neighbour 4: the block's mean is that pixel, and weighs as known.
    image_HW = np.array([[value, 0, 0.2, 0.4], [0, 0, 0.6, 0.8]], np.float32)
    mask_HW = np.array([[1, 0, 1, 1], [0, 0, 1, 1]], np.float32)
    left, right = value, 0.5
    blended = 0.75 * left + 0.25 * right
    expected = np.array([[value, blended, 0.2, 0.4], [left, blended, 0.6, 0.8]])
    found = pull_push(torch.from_numpy(image_HW)[None, None], torch.from_numpy(mask_HW)[None, None], 1)
    np.testing.assert_allclose(found[0, 0], expected, atol=1e-6)


def test_what_nobody_knows_is_zero():
    image_BCHW, mask_B1HW = torch.ones(1, 1, 16, 16), torch.ones(1, 1, 16, 16)
    mask_B1HW[..., :8] = 0
    filled_BCHW = pull_push(image_BCHW, mask_B1HW, 1)
    assert torch.equal(filled_BCHW[..., :6], torch.zeros(1, 1, 16, 6))
    assert torch.equal(pull_push(image_BCHW, torch.zeros_like(mask_B1HW), 4), torch.zeros_like(image_BCHW))
