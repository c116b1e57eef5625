"""Functions whose means are the truth and its square, against draws of noise that was rounded and cut off."""

import pytest
import torch

from models.uncensored import uncensored

DRAWS = 40_000


@pytest.mark.parametrize("sigma", [5, 25, 50])
def test_their_means_are_the_truth_and_its_square_at_both_ends(sigma):
    rng = torch.Generator().manual_seed(sigma)
    truth_B111 = torch.tensor([0, 3, 12, 30, 128, 240, 255], dtype=torch.float64)[:, None, None, None] / 255
    noise = torch.randn(len(truth_B111), 1, 1, DRAWS, generator=rng, dtype=torch.float64)
    noisy = ((truth_B111 + sigma / 255 * noise) * 255).round().clamp(0, 255) / 255
    found = uncensored(noisy, truth_B111.expand_as(noisy), torch.full((len(noisy),), sigma / 255))
    value, square = found.value_BCHW, found.square_BCHW
    chance = 4 * float(value.std(dim=-1).max()) / DRAWS**0.5
    assert (value.mean(dim=-1, keepdim=True) - truth_B111).abs().max() < 1.0 / 255 + chance
    off = square.mean(dim=-1, keepdim=True) - truth_B111.square()
    assert off.abs().max() < 0.01 + 4 * float(square.std(dim=-1).max()) / DRAWS**0.5
    energy = square - 2 * truth_B111 * value
    assert energy.var(dim=-1) == pytest.approx(found.chance_BCHW[..., 0], rel=0.1)
    both = (noisy - noisy.mean(dim=-1, keepdim=True)) * value
    assert both.mean(dim=-1).flatten() == pytest.approx(found.covariance_BCHW[:, 0, 0, 0], rel=0.1)
    # What they replace: the noisy value is off by half of its noise's deviation at the ends.
    assert abs(float(noisy[0].mean() - truth_B111[0])) > 0.35 * sigma / 255


def test_far_from_the_ends_they_are_the_value_and_its_square_less_the_variance():
    noisy = torch.linspace(0.4, 0.6, 50, dtype=torch.float64).view(1, 1, 5, 10)
    found = uncensored(noisy, noisy, torch.tensor([10 / 255], dtype=torch.float64))
    torch.testing.assert_close(found.value_BCHW, noisy, atol=1e-4, rtol=0)
    torch.testing.assert_close(found.square_BCHW, noisy.square() - (10 / 255) ** 2, atol=1e-4, rtol=0)
    expected = torch.full_like(noisy, 2 * (10 / 255) ** 4)
    torch.testing.assert_close(found.chance_BCHW, expected, rtol=0.01, atol=0)


def test_without_noise_they_are_the_image_and_levels_are_each_images_own():
    noisy = torch.tensor([0.0, 0.3, 1.0], dtype=torch.float64).view(1, 1, 1, 3).repeat(2, 1, 1, 1)
    found = uncensored(noisy, noisy, torch.tensor([0.0, 0.2], dtype=torch.float64))
    torch.testing.assert_close(found.value_BCHW[0], noisy[0])
    torch.testing.assert_close(found.square_BCHW[0], noisy[0].square())
    assert not found.chance_BCHW[0].any()
    assert found.value_BCHW[1, 0, 0, 0] < -0.1
    assert found.value_BCHW[1, 0, 0, 2] > 1.1
