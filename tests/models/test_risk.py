"""Risk without a reference: against closed forms, and against the truth on a photograph."""

import math

import pytest
import skimage.data
import torch
import torch.nn.functional as F

from models import catalog
from models.contract import Condition
from models.flat_noise_level import flat_noise_level
from models.noise_level import estimate_noise_level
from models.operators.noise import PoissonGaussianNoise
from models.risk import cut_moments, estimate_risk, sensor_variance, uncut

SIDE = 128


def photograph(dtype=torch.float32):
    return torch.tensor(skimage.data.camera()[90 : 90 + SIDE, 190 : 190 + SIDE] / 255, dtype=dtype)[
        None, None
    ]


def smooth(image_BCHW):
    return F.avg_pool2d(F.pad(image_BCHW, (1, 1, 1, 1), mode="circular"), 3, 1)


def test_risk_of_a_linear_filter_is_steins_formula():
    clean, level = photograph(torch.float64), 0.1
    rng = torch.Generator().manual_seed(0)
    noisy = clean + level * torch.randn(clean.shape, generator=rng, dtype=torch.float64)
    restored = smooth(noisy)
    by_hand = (restored - noisy).square().mean() - level**2 + 2 * level**2 / 9
    estimates = [
        estimate_risk(smooth, noisy, restored, torch.full((1, 1, 1, 1), level**2), rng) for _ in range(30)
    ]
    # The trace of the filter is a ninth of the number of pixels; one perturbation finds it nearly.
    assert float(torch.cat(estimates).mean()) == pytest.approx(float(by_hand), rel=0.01)


def test_risk_is_unbiased_over_the_noise():
    clean = photograph(torch.float64).repeat(60, 1, 1, 1)
    rng = torch.Generator().manual_seed(1)
    noisy = clean + 0.1 * torch.randn(clean.shape, generator=rng, dtype=torch.float64)
    restored = smooth(noisy)
    errors = estimate_risk(smooth, noisy, restored, torch.full((60, 1, 1, 1), 0.01), rng)
    errors = errors - (restored - clean).square().mean(dim=(1, 2, 3))
    assert abs(float(errors.mean())) < 4 * float(errors.std()) / math.sqrt(60)
    assert float(errors.std()) < 0.1 * float((restored - clean).square().mean())


def test_risk_of_a_sensors_image():
    clean = photograph(torch.float64).repeat(40, 1, 1, 1)
    rng = torch.Generator().manual_seed(2)
    noisy = PoissonGaussianNoise(gain=0.01, sigma=5.0)(clean, rng)
    restored = smooth(noisy)
    variance = sensor_variance(noisy, 0.01, 5 / 255)
    true = (restored - clean).square().mean()
    found = estimate_risk(smooth, noisy, restored, variance, rng).mean()
    assert float(found) == pytest.approx(float(true), rel=0.03)
    even = estimate_risk(smooth, noisy, restored, variance.amax(dim=(1, 2, 3), keepdim=True), rng).mean()
    assert abs(float(even - true)) > 3 * abs(float(found - true))


@pytest.mark.parametrize("sigma", [15, 25, 50])
def test_risk_of_a_network_is_unbiased_too(sigma):
    network, level = catalog.build("ffdnet-grey"), torch.full((12,), sigma / 255)
    clean, rng = photograph().repeat(12, 1, 1, 1), torch.Generator().manual_seed(sigma)
    noisy = clean + sigma / 255 * torch.randn(clean.shape, generator=rng)

    def restore(image_BCHW):
        return network(image_BCHW, condition=Condition(noise_level_B=level))

    restored = restore(noisy)
    risk = estimate_risk(restore, noisy, restored, level.square().view(12, 1, 1, 1), rng)
    errors = risk - (restored - clean).square().mean(dim=(1, 2, 3))
    assert abs(float(errors.mean())) < 4 * float(errors.std()) / math.sqrt(12)
    # What is left is what chance in the noise's own energy leaves, and no more.
    assert float(errors.std()) < 2 * (sigma / 255) ** 2 * math.sqrt(2) / SIDE


def test_images_without_noise_are_the_truth():
    clean = photograph().repeat(2, 1, 1, 1)
    risk = estimate_risk(
        smooth, clean, smooth(clean), torch.tensor([0.0, 1e-4]).view(2, 1, 1, 1), torch.Generator()
    )
    assert float(risk[0]) == pytest.approx(float((smooth(clean) - clean)[0].square().mean()), rel=1e-5)
    assert risk.isfinite().all()


def test_noise_that_the_range_cuts_off_is_told_from_the_image():
    truth = torch.linspace(0, 1, 64, dtype=torch.float64).expand(1, 1, 64, 64)
    level = torch.full((1, 1, 1, 1), 0.2, dtype=torch.float64)
    rng = torch.Generator().manual_seed(0)
    noise = level * torch.randn(4000, 1, 1, 64, generator=rng, dtype=torch.float64)
    noisy = (truth[..., :1, :] + noise).clamp(0, 1)
    assert torch.allclose(uncut(noisy.mean(dim=0, keepdim=True), level), truth[..., :1, :], atol=0.02)
    variance, square = cut_moments(truth[..., :1, :], level)
    assert torch.allclose(noisy.var(dim=0, keepdim=True), variance, rtol=0.15)
    assert torch.allclose((noisy - truth[..., :1, :]).square().mean(dim=0, keepdim=True), square, rtol=0.15)


@pytest.mark.parametrize("sigma", [15, 50])
@pytest.mark.parametrize("cut", [False, True])
def test_the_noise_level_is_measured_where_the_restored_image_is_flat(sigma, cut):
    """A dark image, half of it of fine texture, for which the blind estimate is off by more."""
    rng = torch.Generator().manual_seed(sigma)
    rows = torch.arange(96, dtype=torch.float64)
    truth = torch.full((2, 1, 96, 96), 0.45, dtype=torch.float64)
    truth[..., :48] += 0.1 * (rows[:, None] % 2) * (rows[:48] % 2)
    truth[..., 80:] = 0.03
    noisy = truth + sigma / 255 * torch.randn(truth.shape, generator=rng, dtype=torch.float64)
    noisy = noisy.clamp(0, 1) if cut else noisy
    blind = estimate_noise_level(noisy)
    valid = torch.ones_like(truth, dtype=torch.bool)
    valid[1, :, 70:] = False
    found = flat_noise_level(noisy, truth, blind, valid)
    assert torch.allclose(found * 255 / sigma, torch.ones(2, dtype=torch.float64), atol=0.06)
    assert ((found * 255 / sigma - 1).abs() < (blind * 255 / sigma - 1).abs()).all()
    assert torch.equal(found[1:], flat_noise_level(noisy[1:], truth[1:], blind[1:], valid[1:]))
    assert torch.equal(flat_noise_level(noisy[..., :7], truth[..., :7], blind), blind)
