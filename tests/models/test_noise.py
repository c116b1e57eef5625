"""Mean and variance of every random operator against its formula."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats
from torch import Tensor

from models.operators.noise import (
    CorrelatedNoise,
    GaussianNoise,
    PoissonGaussianNoise,
    PoissonNoise,
    RicianNoise,
    SaltAndPepper,
    Speckle,
)
from models.operators.sensor import Stripes
from tests.operator_contract import random_image, seeded

SIDE = 400
"""160,000 samples: a mean is known to 0.25 % of the deviation, a variance to 0.4 % of itself."""


def flat(value: float, channels: int = 1, side: int = SIDE) -> Tensor:
    return torch.full((1, channels, side, side), value)


def assert_moments(sample: Tensor, mean: float, variance: float) -> None:
    """Five standard errors of a sample with light tails."""
    count = sample.numel()
    assert sample.mean().item() == pytest.approx(mean, abs=5 * math.sqrt(variance / count))
    kurtosis = stats.kurtosis(sample.numpy().ravel(), fisher=False)
    error = variance * math.sqrt(max(kurtosis - 1, 0.1) / count)
    assert sample.var().item() == pytest.approx(variance, abs=5 * error)


def test_gaussian_noise_is_normal_and_unclipped():
    noise = GaussianNoise(25)(flat(0.02), seeded()) - 0.02
    assert_moments(noise, 0.0, (25 / 255) ** 2)
    assert stats.kstest(noise.numpy().ravel() / (25 / 255), "norm").pvalue > 1e-3
    assert noise.min() < -0.3
    assert GaussianNoise(25).noise_level == pytest.approx(25 / 255)


def test_gaussian_noise_is_white():
    noise = GaussianNoise(10)(flat(0.5, channels=2), seeded())[0] - 0.5
    for shifted in (noise.roll(1, 1), noise.roll(1, 2), noise.roll(1, 0)):
        assert abs((noise * shifted).mean() / noise.var()) < 5 / math.sqrt(noise.numel())


def test_quantised_gaussian_noise_lies_on_the_grid():
    noisy = GaussianNoise(25, rounding="uint8")(flat(0.02), seeded()) * 255
    torch.testing.assert_close(noisy, noisy.round(), rtol=0, atol=1e-4)
    assert noisy.min() == 0
    # The mean of a normal variable cut at 0: mu Phi(mu / s) + s phi(mu / s).
    mu, sigma = 0.02 * 255, 25.0
    expected = mu * stats.norm.cdf(mu / sigma) + sigma * stats.norm.pdf(mu / sigma)
    assert noisy.mean().item() == pytest.approx(expected, abs=0.25)


def test_grey_noise_is_the_same_in_all_channels():
    for operator in (GaussianNoise(25, grey=True), PoissonNoise(50, grey=True)):
        noise = operator(flat(0.5, channels=3, side=20), seeded()) - 0.5
        torch.testing.assert_close(noise[:, 0], noise[:, 1])
        torch.testing.assert_close(noise[:, 0], noise[:, 2])
        assert noise.std() > 0.01


def test_noise_is_the_same_in_float64():
    image = flat(0.5, side=30)
    single = GaussianNoise(25)(image, seeded())
    double = GaussianNoise(25)(image.double(), seeded())
    torch.testing.assert_close(single.double(), double, rtol=0, atol=1e-7)


@pytest.mark.parametrize("value", [0.05, 0.5, 1.0])
def test_poisson_variance_grows_with_the_light(value: float):
    photons = 40.0
    noisy = PoissonNoise(photons)(flat(value), seeded())
    assert_moments(noisy, value, value / photons)
    counts = noisy * photons
    torch.testing.assert_close(counts, counts.round(), rtol=0, atol=1e-3)


def test_negative_light_gives_no_counts():
    assert torch.equal(PoissonNoise(40.0)(flat(-0.3, side=8), seeded()), flat(0.0, side=8))


def test_poisson_gaussian_variance_is_affine_per_band():
    operator = PoissonGaussianNoise(gain=(0.002, 0.02), sigma=(5.0, 1.0))
    noisy = operator(flat(0.4, channels=2), seeded())
    assert_moments(noisy[:, 0], 0.4, 0.002 * 0.4 + (5 / 255) ** 2)
    assert_moments(noisy[:, 1], 0.4, 0.02 * 0.4 + (1 / 255) ** 2)


@pytest.mark.parametrize("looks", [1, 4.4, 16])
def test_speckle_is_gamma_of_mean_one(looks: float):
    factor = Speckle(looks)(flat(0.5), seeded()) / 0.5
    assert_moments(factor, 1.0, 1 / looks)
    assert stats.kstest(factor.numpy().ravel(), stats.gamma(looks, scale=1 / looks).cdf).pvalue > 1e-3


def test_amplitude_speckle_of_one_look_is_rayleigh():
    amplitude = Speckle(1, domain="amplitude")(flat(1.0), seeded())
    assert_moments(amplitude, math.sqrt(math.pi) / 2, 1 - math.pi / 4)


def test_salt_and_pepper_hits_its_share():
    noisy = SaltAndPepper(0.2, salt=0.25)(flat(0.5), seeded())
    salt, pepper = ((noisy == value).float().mean().item() for value in (1.0, 0.0))
    error = 5 * math.sqrt(0.2 / SIDE**2)
    assert salt == pytest.approx(0.05, abs=error)
    assert pepper == pytest.approx(0.15, abs=error)
    assert ((noisy == 0.5) | (noisy == 0) | (noisy == 1)).all()


@pytest.mark.parametrize("value", [0.0, 0.05, 0.6])
def test_rician_noise_has_the_moments_of_the_rice_distribution(value: float):
    sigma = 20 / 255
    rice = stats.rice(value / sigma, scale=sigma)
    noisy = RicianNoise(20)(flat(value), seeded())
    assert_moments(noisy, rice.mean(), rice.var())
    assert noisy.square().mean().item() == pytest.approx(value**2 + 2 * sigma**2, rel=0.02)


def test_stripes_are_constant_along_their_detector():
    image = random_image(1, 2, 30, 3000, dtype=torch.float64)
    offset = Stripes(gain=0.0, sigma=5.0)(image, seeded()) - image
    torch.testing.assert_close(offset, offset[:, :, :1].expand_as(offset), rtol=0, atol=1e-12)
    assert offset[:, :, 0].std().item() * 255 == pytest.approx(5.0, rel=5 / math.sqrt(2 * 6000))
    gain = Stripes(gain=0.02, sigma=0.0)(image, seeded()) / image - 1
    torch.testing.assert_close(gain, gain[:, :, :1].expand_as(gain), rtol=0, atol=1e-9)
    assert gain[:, :, 0].std().item() == pytest.approx(0.02, rel=5 / math.sqrt(2 * 6000))


def test_stripes_of_few_detectors_repeat():
    stripes = Stripes(sigma=5.0, direction="rows", detectors=16)(flat(0.5, side=64), seeded())[0, 0, :, 0]
    assert torch.equal(stripes[:16], stripes[16:32])
    assert stripes[:16].unique().numel() == 16


def test_correlated_noise_has_a_random_covariance_of_the_right_size():
    """Its trace is sigma^2 times a sum of three uniform variables, 3/2 on average."""
    operator, rng = CorrelatedNoise(25), seeded()
    covariances = []
    for _ in range(200):
        noise = operator(flat(0.5, channels=3, side=40), rng)[0].flatten(1) - 0.5
        covariances.append(torch.cov(noise) / (25 / 255) ** 2)
    traces = torch.stack([covariance.trace() for covariance in covariances])
    assert traces.mean().item() == pytest.approx(1.5, abs=5 * math.sqrt(3 / 12 / 200))
    assert traces.var().item() == pytest.approx(3 / 12, rel=0.5)
    assert all(torch.linalg.eigvalsh(covariance).max() < 1.15 for covariance in covariances)
    assert sum(abs(covariance[0, 1]) > 0.05 for covariance in covariances) > 100
