"""Kernels found from blurred images alone: laws, and what tells no blur."""

import pytest
import torch

from models.kernel_estimation.estimate import agreement, blind, spread
from models.kernel_estimation.kernel_step import centred, cleaned, point
from models.kernel_estimation.planes import across, divergence, down, wrapped

NOISE = torch.randn(1, 128, 128, generator=torch.Generator().manual_seed(0))


def diagonal() -> torch.Tensor:
    kernel = torch.zeros(9, 9)
    kernel[range(1, 8), range(1, 8)] = 1 / 7
    return kernel


@pytest.mark.parametrize(("image", "said"), [
    (0.5 + 0.1 * NOISE, "sharp already"), (torch.full((3, 128, 128), 0.3), "shows nothing"),
    (torch.zeros(1, 92, 400), "92 x 400 pixels are too few"),
])  # fmt: skip
def test_what_tells_no_blur_says_why(image, said):
    found = blind(image)
    assert said in found.doubt


def test_kernels_that_differ_by_their_place_agree_and_others_do_not():
    moved = torch.nn.functional.pad(diagonal(), (4, 0, 1, 3))
    assert agreement(diagonal(), moved) == pytest.approx(1, abs=1e-5)
    assert agreement(diagonal(), diagonal().flip(0)) == pytest.approx(1 / 7, abs=1e-5)
    assert spread(diagonal()) == pytest.approx(8**0.5, abs=1e-5)


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
