"""NIQE against the paper's equations in NumPy, and along ladders of noise and blur."""

import hashlib
from importlib import resources

import numpy as np
import pytest
import safetensors.numpy
import scipy.ndimage
import torch
from scipy.optimize import brentq
from scipy.special import gamma, gammaln
from skimage import data

from pipeline.metrics import METRICS
from pipeline.metrics.natural_scene import whole_blocks

NIQE = METRICS["niqe"]
FITTED = resources.files("pipeline.metrics").joinpath("niqe.safetensors").read_bytes()


def tensor(image: np.ndarray) -> torch.Tensor:
    image = image[..., None] if image.ndim == 2 else image
    return torch.from_numpy(image.transpose(2, 0, 1).copy())[None].float() / 255


def score(image_1CHW: torch.Tensor) -> float:
    return NIQE(image_1CHW, image_1CHW, None).item()


def by_hand(grey: np.ndarray) -> float:
    """Mittal 2013, eq. 1-10, in float64; shapes are roots, not entries of a table."""
    grey = grey[: grey.shape[0] // 96 * 96, : grey.shape[1] // 96 * 96]
    taps = np.exp(-(np.arange(-3, 4) ** 2) / (2 * (7 / 6) ** 2))
    taps /= taps.sum()

    def mean(plane):
        rows = scipy.ndimage.correlate1d(plane, taps, axis=0, mode="nearest")
        return scipy.ndimage.correlate1d(rows, taps, axis=1, mode="nearest")

    columns = []
    for plane, size in ((grey, 96), (halved(grey), 48)):
        mu = mean(plane)
        normal = (plane - mu) / (np.sqrt(np.abs(mean(plane**2) - mu**2)) + 1)
        tiles = [
            normal[y : y + size, x : x + size]
            for y in range(0, plane.shape[0], size)
            for x in range(0, plane.shape[1], size)
        ]
        columns.append(np.array([features(tile) for tile in tiles]))
    rows = np.hstack(columns)
    model = safetensors.numpy.load(FITTED)
    difference = rows.mean(axis=0) - model["mean"]
    pooled = (np.cov(rows.T) + model["covariance"]) / 2
    return float(np.sqrt(difference @ np.linalg.pinv(pooled) @ difference))


def halved(plane):
    """Bicubic of a = -0.5, widened by 2, edges mirrored."""
    x = np.abs(np.arange(-3.5, 4) / 2)
    cubic = np.where(x <= 1, 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2)
    for _ in range(2):
        padded = np.pad(plane, ((3, 3), (0, 0)), mode="symmetric")
        rows = [padded[i : len(padded) - 7 + i : 2] * w for i, w in enumerate(cubic / cubic.sum())]
        plane = np.sum(rows, axis=0).T
    return plane


def features(tile):
    shape, left, right = fitted(tile)
    found = [shape, (left + right) / 2]
    for shift in ((0, 1), (1, 0), (1, 1), (1, -1)):
        shape, left, right = fitted(tile * np.roll(tile, shift, axis=(0, 1)))
        found += [shape, (right - left) * gamma(2 / shape) / gamma(1 / shape), left, right]
    return found


def fitted(values):
    left, right = (np.sqrt(np.mean(values[side] ** 2)) for side in (values < 0, values > 0))
    ratio = np.mean(np.abs(values)) ** 2 / np.mean(values**2)
    g = left / right
    wanted = ratio * (g**3 + 1) * (g + 1) / (g**2 + 1) ** 2
    shape = brentq(lambda a: np.exp(2 * gammaln(2 / a) - gammaln(1 / a) - gammaln(3 / a)) - wanted, 0.2, 10)
    width = np.sqrt(gamma(1 / shape) / gamma(3 / shape))
    return shape, left * width, right * width


@pytest.mark.parametrize("name", ["camera", "chelsea"])
def test_score_is_the_papers(name):
    image = getattr(data, name)()[:230, 50:300]
    grey = image.astype(float) if image.ndim == 2 else image @ [0.299, 0.587, 0.114]
    assert score(tensor(image)) == pytest.approx(by_hand(grey), rel=1e-4)


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee"])
def test_noise_and_blur_score_worse_and_worse(name):
    """None of these photographs is among those that the parameters were fitted on."""
    photo = tensor(getattr(data, name)())
    white = torch.randn(photo.shape, generator=torch.Generator().manual_seed(0))
    noise = [score(photo + sigma / 255 * white) for sigma in (0, 5, 10, 25, 50)]
    blur = [
        score(torch.from_numpy(scipy.ndimage.gaussian_filter(photo.numpy(), (0, 0, sigma, sigma))))
        for sigma in (1, 2, 4)
    ]
    assert noise == sorted(noise), noise
    assert [noise[0], *blur] == sorted([noise[0], *blur]), blur
    assert 2 < noise[0] < 7, noise


def test_flat_images_are_undefined_and_flat_blocks_do_not_count():
    flat = torch.full((1, 3, 300, 300), 0.3)
    assert np.isnan(score(flat))
    half = tensor(data.astronaut()[:288, :288])
    half[..., 192:] = 0.3
    assert np.isfinite(score(half))


def test_blocks_near_masked_pixels_do_not_count():
    valid_B1HW = torch.ones(1, 1, 200, 300, dtype=torch.bool)
    valid_B1HW[0, 0, 0, 106] = False  # the nearest that the first block does look past
    assert whole_blocks(valid_B1HW).tolist() == [[True, False, True, True, True, True]]
    valid_B1HW[0, 0, 0, 105] = False
    assert whole_blocks(valid_B1HW).tolist() == [[False, False, True, True, True, True]]


def test_protocol_names_the_fitted_file():
    parameters = dict(NIQE.protocol.parameters)
    assert parameters["sha256"] == hashlib.sha256(FITTED).hexdigest()[:16]
