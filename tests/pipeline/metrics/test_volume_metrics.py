"""Volume scores against scikit-image, called as fastMRI's evaluate.py calls it."""

import math

import numpy as np
import pytest
import torch
from skimage import data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from pipeline.metrics import METRICS


def score(name, restored, reference):
    volumes = (torch.as_tensor(each)[None] for each in (restored, reference))
    return METRICS[f"volume_{name}"](*volumes, None).item()


@pytest.fixture(scope="module")
def volumes():
    """Five slices of different brightness, float32 magnitudes of about 1e-5 as k-space leaves them."""
    cell = data.camera().astype(np.float32)
    slices = [cell[i * 40 : i * 40 + 90, i * 30 : i * 30 + 77] * (i + 1) for i in range(5)]
    reference = np.stack(slices) * np.float32(1e-7)
    noise = np.random.default_rng(0).normal(0, 4e-6, reference.shape)
    return np.abs(reference + noise).astype(np.float32), reference


def test_psnr_and_nmse(volumes):
    restored, reference = (each.astype(np.float64) for each in volumes)
    expected = peak_signal_noise_ratio(reference, restored, data_range=reference.max())
    assert score("psnr", *volumes) == pytest.approx(expected, abs=1e-6)
    expected = np.linalg.norm(reference - restored) ** 2 / np.linalg.norm(reference) ** 2
    assert score("nmse", *volumes) == pytest.approx(expected, rel=1e-6)


def test_ssim(volumes):
    restored, reference = (each.astype(np.float64) for each in volumes)
    peak = reference.max()
    each = [structural_similarity(y, x, data_range=peak) for x, y in zip(restored, reference, strict=True)]
    assert score("ssim", *volumes) == pytest.approx(np.mean(each), abs=1e-6)
    alone = [score("ssim", *(part[i : i + 1] for part in volumes)) for i in range(5)]
    assert abs(np.mean(alone) - np.mean(each)) > 1e-3, "the range is the volume's, not the slice's"


def test_volumes_without_a_positive_value_and_of_one_slice():
    volume = torch.rand(2, 9, 9, generator=torch.Generator().manual_seed(0))
    for name in ("psnr", "ssim", "nmse"):
        assert math.isnan(score(name, volume, torch.zeros_like(volume)))
        assert math.isfinite(score(name, volume[:1] + 0.1, volume[:1]))
