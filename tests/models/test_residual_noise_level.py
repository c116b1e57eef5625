"""A level from what a restorer took away: nearer the truth than flat parts alone, or left as it was."""

import pytest
import skimage.data
import torch
import torch.nn.functional as F

from models import catalog
from models.contract import Condition
from models.flat_noise_level import flat_noise_level
from models.noise_level import estimate_noise_level
from models.residual_noise_level import residual_noise_level
from models.risk import Probe, probed

SIDE = 96


def crops():
    camera = torch.tensor(skimage.data.camera() / 255, dtype=torch.float32)
    places = [(90, 190), (300, 60), (60, 20), (200, 380), (380, 200), (20, 400)]
    return torch.stack([camera[None, top : top + SIDE, left : left + SIDE] for top, left in places])


def mean_of_three(image_BCHW):
    return F.avg_pool2d(F.pad(image_BCHW, (1, 1, 1, 1), mode="reflect"), 3, 1)


def probe_of(restore, noisy, restored, level_B, seed=0):
    rng = torch.Generator().manual_seed(seed)
    direction = torch.randn(noisy.shape, generator=rng, dtype=torch.float64)
    return probed(restore, noisy, restored, 0.1 * level_B[:, None, None, None], direction)


@pytest.mark.parametrize("cut", [False, True])
def test_strong_noise_is_measured_nearer_than_where_the_image_is_flat(cut):
    truth, sigma = crops(), 50 / 255
    noisy = truth + sigma * torch.randn(truth.shape, generator=torch.Generator().manual_seed(3))
    noisy = (noisy * 255).round().clamp(0, 255) / 255 if cut else noisy
    restorer, blind = catalog.build("ffdnet-grey"), estimate_noise_level(noisy)

    def restore(image):
        return restorer(image, condition=Condition(noise_level_B=blind))

    with torch.inference_mode():
        restored = restore(noisy)
        flat = flat_noise_level(noisy, restored, blind)
        probe = probe_of(restore, noisy, restored, flat)
    found = residual_noise_level(noisy, restored, probe, flat)
    error, before = ((each / sigma - 1).square().mean().sqrt() for each in (found, flat))
    assert error < 0.9 * before
    assert ((found / flat - 1).abs() <= 0.0201).all()


def test_a_filter_of_an_even_image_leaves_the_true_level():
    """Every mean, slope and energy is known here: what is taken away is noise alone."""
    sigma = 0.05
    rng = torch.Generator().manual_seed(0)
    noisy = 0.5 + sigma * torch.randn(1, 2, 256, 256, generator=rng, dtype=torch.float64)
    restored = mean_of_three(noisy)
    for first in (0.99, 1.01):
        level = torch.tensor([first * sigma], dtype=torch.float64)
        probe = probe_of(mean_of_three, noisy, restored, level)
        found = float(residual_noise_level(noisy, restored, probe, level)) / sigma
        assert abs(found - 1) < abs(first - 1)


def test_images_of_a_batch_and_pixels_without_data_do_not_touch_one_another():
    truth, sigma = crops()[:2], 25 / 255
    noisy = truth + sigma * torch.randn(truth.shape, generator=torch.Generator().manual_seed(1))
    valid = torch.ones_like(truth, dtype=torch.bool)
    valid[..., 70:, :] = False
    level = torch.full((2,), 1.01 * sigma, dtype=torch.float64)
    restored = mean_of_three(noisy)
    probe = probe_of(mean_of_three, noisy, restored, level)
    found = residual_noise_level(noisy, restored, probe, level, valid)
    second = Probe(probe.direction_BCHW[1:], probe.response_BCHW[1:])
    assert torch.equal(found[1:], residual_noise_level(noisy[1:], restored[1:], second, level[1:], valid[1:]))
    spoilt = noisy.clone()
    spoilt[..., 80:, :] = 0.5  # farther in than what texture is averaged over
    again = mean_of_three(spoilt)
    other = probe_of(mean_of_three, spoilt, again, level)
    assert torch.equal(found, residual_noise_level(spoilt, again, other, level, valid))


def test_what_says_nothing_keeps_the_level():
    noisy = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(2))
    level = torch.tensor([0.1], dtype=torch.float64)
    nothing_taken = probe_of(torch.clone, noisy, noisy, level)
    assert torch.equal(residual_noise_level(noisy, noisy, nothing_taken, level), level)
    probe = probe_of(mean_of_three, noisy, mean_of_three(noisy), level)
    none = torch.zeros(1, dtype=torch.float64)
    assert torch.equal(residual_noise_level(noisy, mean_of_three(noisy), probe, none), none)
    no_data = torch.zeros(1, 1, 32, 32, dtype=torch.bool)
    kept = residual_noise_level(noisy, mean_of_three(noisy), probe, level, no_data)
    assert torch.allclose(kept, level)
    small = noisy[..., :7]
    small_probe = probe_of(mean_of_three, small, mean_of_three(small), level)
    assert torch.equal(residual_noise_level(small, mean_of_three(small), small_probe, level), level)
