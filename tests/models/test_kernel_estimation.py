"""Kernels found from blurred images alone: laws, and what tells no blur."""

import re

import pytest
import torch
from skimage import data

from models.kernel_estimation.blind import blind, spread
from models.kernel_estimation.kernel_step import centred, cleaned, point
from models.kernel_estimation.planes import across, divergence, down, wrapped
from models.kernel_estimation.spectra import mean_spectrum, power_of, resemblance
from models.kernel_estimation.spectral import defocus, line, straight_motion
from models.operators.blur import DefocusBlur, KernelBlur

NO_BLUR = "does not look like|sharp already|cannot be told"
NOISE = torch.randn(1, 128, 128, generator=torch.Generator().manual_seed(0))


def diagonal() -> torch.Tensor:
    kernel = torch.zeros(9, 9)
    kernel[range(1, 8), range(1, 8)] = 1 / 7
    return kernel


@pytest.mark.parametrize(("image", "said"), [
    (0.5 + 0.1 * NOISE, NO_BLUR), (torch.full((3, 128, 128), 0.3), "shows nothing"),
    (torch.linspace(0, 1, 128).expand(1, 128, 128) + 0.01 * NOISE, NO_BLUR),
    (torch.zeros(1, 127, 400), "127 x 400 pixels are too few"),
])  # fmt: skip
def test_what_tells_no_blur_says_why(image, said):
    found = blind(image)
    assert re.search(said, found.doubt), found.doubt


def test_a_spectrum_is_dark_where_that_of_the_true_blur_is():
    assert spread(diagonal()) == pytest.approx(8**0.5, abs=1e-5)
    sharp = torch.from_numpy(data.astronaut()[:256, :256].mean(axis=-1) / 255.0).float()[None, None]
    blurred = KernelBlur(values=tuple(map(tuple, diagonal().tolist())))(sharp, torch.Generator())
    spectrum = mean_spectrum(
        blurred[0, 0] + 0.01 * torch.randn(256, 256, generator=torch.Generator().manual_seed(1))
    )
    assert resemblance(spectrum, power_of(diagonal())) > 0.5
    assert resemblance(spectrum, power_of(diagonal().flip(0))) < 0.1
    assert resemblance(spectrum, power_of(point(9, blurred))) == 0.0, "a point darkens nothing"


def test_cleaning_drops_crumbs_and_keeps_the_sum():
    dirty = diagonal()
    dirty[1, 7], dirty[7, 1], dirty[0, 8] = 0.02, -0.3, 0.001
    torch.testing.assert_close(cleaned(dirty), diagonal())
    torch.testing.assert_close(cleaned(torch.zeros(5, 5)), point(5, dirty))
    torch.testing.assert_close(centred(diagonal().roll((1, 1), (0, 1))), diagonal())


def test_planes_wrap_without_a_seam_and_differences_have_their_adjoint():
    plane = torch.linspace(0, 1, 40)[:, None].expand(40, 30).contiguous()
    whole = wrapped(plane, 9)
    assert whole.shape[0] >= 49
    assert torch.equal(whole[:40, :30], plane)
    assert float(down(whole).abs().max()) < 0.2
    first, second = NOISE[0, :50, :60], NOISE[0, 50:100, :60]
    inner = (across(first) * second).sum() + (down(first) * first).sum()
    torch.testing.assert_close((first * divergence(second, first)).sum(), inner)


@pytest.mark.parametrize(("estimator", "blur", "found"), [
    (defocus, DefocusBlur(radius=5.0), {"radius": 5.0}),
    (straight_motion, KernelBlur(values=tuple(map(tuple, line(9, 30).tolist()))), {"length": 9, "angle": 30}),
])  # fmt: skip
def test_a_disc_and_a_line_are_told_by_their_spectra(estimator, blur, found):
    noise = 0.01 * torch.randn(1, 256, 256, generator=torch.Generator().manual_seed(2))
    sharp = torch.from_numpy(data.astronaut()[:256, :256].mean(axis=-1) / 255.0).float()[None, None]
    blurred = blur(sharp, torch.Generator())[0] + noise
    told = estimator(blurred)
    assert (told.parameters, told.doubt) == (found, "")
    torch.testing.assert_close(told.kernel_KK, blur.kernel(), atol=1e-3, rtol=0)


def test_a_sharp_image_has_no_spectrum_of_a_disc():
    told = defocus(torch.from_numpy(data.camera()[:256, :256] / 255.0).float()[None])
    assert "does not look like" in told.doubt
