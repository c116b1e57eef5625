"""Kernels and convolutions against SciPy, scikit-image and formulas by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import fft, ndimage
from skimage.morphology import disk

from models.operators.blur import (
    AnisotropicGaussianBlur,
    DefocusBlur,
    GaussianBlur,
    GeneralisedGaussianBlur,
    KernelBlur,
    PlateauBlur,
    Sinc,
)
from models.operators.convolution import fast_length
from models.operators.motion import MotionBlur
from tests.operator_contract import random_image, seeded


@pytest.mark.parametrize("sigma", [0.3, 1.0, 1.6, 4.0])
def test_gaussian_blur_is_that_of_scipy(sigma: float):
    image = random_image(1, 2, 50, 41, dtype=torch.float64)
    blurred = GaussianBlur(sigma)(image, seeded())
    expected = ndimage.gaussian_filter(image[0].numpy(), (0, sigma, sigma), mode="reflect", truncate=4.0)
    assert np.abs(blurred[0].numpy() - expected).max() < 1e-14


@pytest.mark.parametrize(("border", "mode"), [("symmetric", "reflect"), ("circular", "wrap")])
def test_any_kernel_is_convolved_as_in_scipy(border: str, mode: str):
    image = random_image(2, 2, 20, 33, dtype=torch.float64)
    values = torch.rand(7, 7, generator=seeded(), dtype=torch.float64)
    operator = KernelBlur(tuple(map(tuple, values.tolist())), border=border)
    blurred = operator(image, seeded()).numpy()
    kernel = values.numpy() / values.numpy().sum()
    for index in np.ndindex(2, 2):
        expected = ndimage.convolve(image[index].numpy(), kernel, mode=mode)
        assert np.abs(blurred[index] - expected).max() < 1e-14


def test_float32_is_as_exact_as_float32_can_be():
    image = random_image(1, 3, 128, 128)
    operator = AnisotropicGaussianBlur(3.0, 1.0, 20.0)
    difference = operator(image, seeded()) - operator(image.double(), seeded())
    assert difference.abs().max() < 1e-6


def test_anisotropic_gaussian_with_equal_widths_is_isotropic():
    image = random_image(1, 1, 40, 40, dtype=torch.float64)
    turned = AnisotropicGaussianBlur(1.5, 1.5, 33.0)(image, seeded())
    torch.testing.assert_close(turned, GaussianBlur(1.5)(image, seeded()), rtol=0, atol=1e-12)


def test_angle_turns_the_first_axis_downwards():
    kernel = AnisotropicGaussianBlur(4.0, 0.8, angle=45.0).kernel()
    centre = kernel.shape[0] // 2
    assert kernel[centre + 3, centre + 3] > 100 * kernel[centre + 3, centre - 3]
    second_moment = (kernel * torch.arange(-centre, centre + 1) ** 2).sum()
    assert second_moment == pytest.approx((4.0**2 + 0.8**2) / 2, rel=0.01)


@pytest.mark.parametrize("beta", [0.5, 1.0, 3.0])
def test_generalised_and_plateau_kernels_are_their_formulas(beta: float):
    shape = {"sigma_x": 2.0, "sigma_y": 1.0, "beta": beta, "angle": 90.0, "size": 21}
    generalised, plateau = GeneralisedGaussianBlur(**shape).kernel(), PlateauBlur(**shape).kernel()
    # At 90 degrees the wider axis is y: (dx, dy) = (1, 2) has squared distance 1 / 1 + 4 / 4 = 2.
    for dx, dy, distance2 in ((1, 2, 2.0), (0, 4, 4.0), (3, 0, 9.0)):
        ratio = math.exp(-0.5 * distance2**beta)
        assert (generalised[10 + dy, 10 + dx] / generalised[10, 10]).item() == pytest.approx(ratio, rel=1e-9)
        ratio = 1 / (1 + distance2**beta)
        assert (plateau[10 + dy, 10 + dx] / plateau[10, 10]).item() == pytest.approx(ratio, rel=1e-9)


def test_sinc_passes_low_and_stops_high_frequencies():
    cutoff = math.pi / 2
    position = torch.arange(128, dtype=torch.float64)
    for frequency, low, high in ((0.3 * cutoff, 0.9, 1.1), (1.6 * cutoff, 0.0, 0.1)):
        wave = torch.cos(frequency * position).expand(1, 1, 128, 128)
        passed = Sinc(cutoff, size=41)(wave, seeded())[..., 40:-40, 40:-40].abs().amax()
        assert low <= passed <= high


def test_sinc_at_its_centre_is_the_limit_of_the_formula():
    kernel = Sinc(1.2, size=21).kernel()
    from scipy.special import j1

    ratio = (1.2 * j1(1.2 * 3) / (2 * math.pi * 3)) / (1.2**2 / (4 * math.pi))
    assert (kernel[10, 13] / kernel[10, 10]).item() == pytest.approx(ratio, rel=1e-9)


@pytest.mark.parametrize("radius", [0.4, 1.0, 2.5, 7.3])
def test_defocus_is_a_disc_of_the_right_area(radius: float):
    kernel = DefocusBlur(radius).kernel()
    # A full pixel weighs 1 / area, where there is one.
    assert 1 / kernel.max().item() == pytest.approx(max(1.0, math.pi * radius**2), rel=0.03)
    # The second moment of a uniform disc along an axis is r^2 / 4; binning it adds 1 / 12 (Sheppard).
    offsets = torch.arange(kernel.shape[0]) - kernel.shape[0] // 2
    moment = (kernel * offsets**2).sum().item()
    expected = radius**2 / 4 + 1 / 12 if radius > 0.5 else 0.0
    assert moment == pytest.approx(expected, abs=0.07 if radius < 5 else 0.03)
    whole = torch.from_numpy(disk(max(0, math.floor(radius - 1.0)))).bool()
    margin = (kernel.shape[0] - whole.shape[0]) // 2
    inner = kernel[margin : margin + len(whole), margin : margin + len(whole)][whole]
    assert torch.allclose(inner, inner[0])


def test_motion_without_shake_is_a_straight_line():
    """A uniform line of length L has the second moment L^2 / 12; sharing by neighbours adds at most 1/4."""
    for seed in range(5):
        kernel = MotionBlur(length=24.0, shake=0.0).drawn(seeded(seed)).kernel()
        offsets = torch.arange(kernel.shape[0], dtype=torch.float64) - kernel.shape[0] // 2
        y_moment = (kernel * offsets[:, None] ** 2).sum()
        x_moment = (kernel * offsets[None, :] ** 2).sum()
        correlation = (kernel * offsets[:, None] * offsets[None, :]).sum()
        assert 24**2 / 12 <= y_moment + x_moment <= 24**2 / 12 + 0.5
        smaller_eigenvalue = torch.linalg.eigvalsh(
            torch.tensor([[y_moment, correlation], [correlation, x_moment]])
        )[0]
        assert smaller_eigenvalue < 0.3, "thin as a line"


@pytest.mark.parametrize(
    ("shake", "exposure"), [(0.005, 1.0), (0.1, 1.0), (1.0, 1.0), (0.1, 0.1), (0.1, 0.001)]
)
def test_motion_kernels_are_centred_and_fit(shake: float, exposure: float):
    operator = MotionBlur(length=40.0, shake=shake, exposure=exposure)
    kernels = [operator.drawn(seeded(seed)).kernel() for seed in range(6)]
    for kernel in kernels:
        assert kernel.shape == (operator.side, operator.side)
        assert kernel.min() >= 0
        assert kernel.sum() == pytest.approx(1.0)
        offsets = torch.arange(operator.side, dtype=torch.float64) - operator.side // 2
        assert abs((kernel * offsets[:, None]).sum()) < 1e-9
        assert abs((kernel * offsets[None, :]).sum()) < 1e-9
    assert exposure < 0.01 or not torch.equal(kernels[0], kernels[1])


def test_more_shake_curls_the_path():
    def spread(shake: float) -> float:
        kernels = [MotionBlur(60.0, shake).drawn(seeded(seed)).kernel() for seed in range(8)]
        offsets2 = (torch.arange(kernels[0].shape[0]) - kernels[0].shape[0] // 2) ** 2
        return sum(float((kernel * (offsets2[:, None] + offsets2[None, :])).sum()) for kernel in kernels)

    assert spread(0.5) < 0.5 * spread(0.0)


def test_the_drawn_motion_blur_is_the_one_that_is_applied():
    image = random_image(1, 3, 64, 64)
    operator = MotionBlur(length=20.0, shake=0.1)
    assert torch.equal(operator.drawn(seeded())(image, seeded()), operator(image, seeded()))


@pytest.mark.parametrize("height", [21, 37, 64])
def test_a_kernel_as_large_as_the_image_is_convolved_as_in_scipy(height: int):
    image = random_image(1, 3, height, 2 * height - 1, dtype=torch.float64)
    operator = AnisotropicGaussianBlur(4.0, 2.0, 25.0, size=21)
    expected = [
        ndimage.convolve(plane, operator.kernel().numpy(), mode="reflect") for plane in image[0].numpy()
    ]
    assert np.abs(operator(image, seeded())[0].numpy() - np.stack(expected)).max() < 1e-14


def test_an_image_is_blurred_alike_in_any_batch():
    image = random_image(5, 3, 64, 64)
    operator = Sinc(2.0, size=15)
    assert torch.equal(operator(image, seeded())[3:4], operator(image[3:4], seeded()))


def test_lengths_of_transforms_are_those_of_scipy():
    lengths = range(1, 3000)
    expected = [fft.next_fast_len(length, real=True) for length in lengths]
    assert [fast_length(length) for length in lengths] == expected
