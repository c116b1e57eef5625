"""Scores of fused images: against the formulas pixel by pixel, and Hamilton's table for four bands."""

import numpy as np
import pytest
import torch

from pipeline.metrics.pansharpening import (
    consistency_distortion,
    hypercomplex_quality,
    qnr,
    spatial_distortion,
    spectral_distortion,
)

SIDE = 8


def scene(bands, height, width, seed):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.uniform(0.1, 1.0, (2, bands, height, width)))


def windows(plane):
    for top in range(plane.shape[-2] - SIDE + 1):
        for left in range(plane.shape[-1] - SIDE + 1):
            yield plane[..., top : top + SIDE, left : left + SIDE]


def q(x, y):
    """Wang and Bovik, window by window."""
    found = []
    for a, b in zip(windows(x), windows(y), strict=True):
        covariance = ((a - a.mean()) * (b - b.mean())).mean()
        above, below = (
            4 * covariance * a.mean() * b.mean(),
            (a.var() + b.var()) * (a.mean() ** 2 + b.mean() ** 2),
        )
        found.append(above / below)
    return np.mean(found)


def hamilton(p, q):
    """The product of quaternions as Hamilton wrote it."""
    a, b, c, d = p
    e, f, g, h = q
    return np.array(
        [
            a * e - b * f - c * g - d * h,
            a * f + b * e + c * h - d * g,
            a * g - b * h + c * e + d * f,
            a * h + b * g - c * f + d * e,
        ]
    )


def q4(x, y):
    """Alparone et al. 2004, on quaternions."""
    conjugate = np.array([1, -1, -1, -1])[:, None, None]
    found = []
    for a, b in zip(windows(x), windows(y), strict=True):
        ma, mb = a.mean(axis=(1, 2)), b.mean(axis=(1, 2))
        covariance = hamilton(a, conjugate * b).mean(axis=(1, 2)) - hamilton(ma, conjugate[:, 0, 0] * mb)
        spread = sum((each**2).sum(axis=0).mean() for each in (a, b)) - (ma**2).sum() - (mb**2).sum()
        sizes = [np.sqrt((each**2).sum()) for each in (covariance, ma, mb)]
        found.append(4 * np.prod(sizes) / spread / (sizes[1] ** 2 + sizes[2] ** 2))
    return np.mean(found)


@pytest.fixture(scope="module")
def images():
    """Fused, low, panchromatic, panchromatic at the low size."""
    return scene(4, 16, 18, 0), scene(4, 9, 10, 1), scene(1, 16, 18, 2), scene(1, 9, 10, 3)


def test_distortions_are_those_of_the_formula(images):
    fused, low, pan, low_pan = (each.numpy() for each in images)
    for k in range(2):
        pairs = [(i, j) for i in range(4) for j in range(i)]
        spectral = np.mean([abs(q(fused[k, i], fused[k, j]) - q(low[k, i], low[k, j])) for i, j in pairs])
        spatial = np.mean([abs(q(fused[k, i], pan[k, 0]) - q(low[k, i], low_pan[k, 0])) for i in range(4)])
        assert float(spectral_distortion(*images[:2])[k]) == pytest.approx(spectral, abs=1e-10)
        assert float(spatial_distortion(*images)[k]) == pytest.approx(spatial, abs=1e-10)
        assert float(qnr(spectral_distortion(*images[:2]), spatial_distortion(*images))[k]) == pytest.approx(
            (1 - spectral) * (1 - spatial), abs=1e-10
        )


def test_four_bands_are_a_quaternion(images):
    low = images[1]
    shrunk = scene(4, 9, 10, 4)
    for k in range(2):
        expected = q4(shrunk[k].numpy(), low[k].numpy())
        assert float(hypercomplex_quality(shrunk, low)[k]) == pytest.approx(expected, abs=1e-10)
        assert float(consistency_distortion(shrunk, low)[k]) == pytest.approx(1 - expected, abs=1e-10)


@pytest.mark.parametrize("bands", [1, 3, 8])
def test_identical_images_are_perfect_and_what_is_not_valid_does_not_count(bands):
    low = scene(bands, 12, 14, 5)
    assert torch.allclose(hypercomplex_quality(low, low), torch.ones(2, dtype=torch.float64))
    assert torch.allclose(spatial_distortion(low, low, low[:, :1], low[:, :1]), torch.zeros(2).double())
    valid = torch.ones_like(low[:, :1], dtype=torch.bool)
    valid[..., :3] = False
    other = scene(bands, 12, 14, 6)
    spoilt = other.where(valid, torch.nan)
    assert torch.allclose(
        hypercomplex_quality(spoilt, low, valid), hypercomplex_quality(other[..., 3:], low[..., 3:])
    )
    assert spectral_distortion(low, low).isnan().all() == (bands == 1)
    assert hypercomplex_quality(low[..., :7], low[..., :7]).isnan().all()
