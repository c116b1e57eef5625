"""BM3D and the filters against speckle: brute force, laws, drawn noise, formulas written out."""

import math

import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
import torch

from models import catalog
from models.contract import Condition
from models.operators.noise import Speckle
from models.solvers import bm3d
from models.solvers.block_matching import match_blocks, reference_places
from models.solvers.block_transforms import biorthogonal, cosine, haar, on_blocks
from models.solvers.collaborative_filter import grouped, spectra
from models.solvers.despeckle_bm3d import log_speckle
from models.solvers.noise_covariance import NoiseCovariance, spectrum_of
from tests.restorer_contract import scene


def noise_like(image, level, seed=0):
    return level * torch.randn(image.shape, generator=torch.Generator().manual_seed(seed), dtype=image.dtype)


def psnr(image, reference):
    return float(-10 * torch.log10((image - reference).square().mean()))


def told(level):
    return Condition(noise_level_B=torch.tensor([level]))


def restored_by(solver, image, level=0.1, **parameters):
    return catalog.build_solver(solver, **parameters)(image, condition=told(level))


@pytest.mark.parametrize("rows", [cosine(), haar(8), haar(1)], ids=["cosine", "haar", "one"])
def test_orthonormal_transforms(rows):
    torch.testing.assert_close(rows @ rows.T, torch.eye(len(rows), dtype=torch.float64))


def test_the_biorthogonal_wavelet_is_blind_to_constants_and_can_be_undone():
    rows = biorthogonal()
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(8, dtype=torch.float64))
    torch.testing.assert_close(rows.sum(dim=1)[1:], torch.zeros(7, dtype=torch.float64))
    # The dual of Haar's mean (Cohen, Daubechies and Feauveau 1992): its details are Haar's own.
    np.testing.assert_allclose(rows[4].numpy(), [math.sqrt(0.5), -math.sqrt(0.5)] + [0] * 6, atol=1e-12)
    assert torch.linalg.cond(rows) < 3


def test_block_matching_equals_brute_force():
    image = scene(1, 37, 33)[0, 0].double() + noise_like(torch.zeros(37, 33).double(), 0.02)
    tops, lefts = reference_places(37), reference_places(33)
    assert (int(tops[-1]), int(lefts[-1])) == (29, 25), "the last blocks touch the end"
    groups = match_blocks(image, tops, 16, 0.01)
    pixels = image.numpy()
    for number in (0, len(lefts) + 3, 5 * len(lefts) + 4, len(tops) * len(lefts) - 1):
        top, left = int(tops[number // len(lefts)]), int(lefts[number % len(lefts)])
        here = pixels[top : top + 8, left : left + 8]
        found = sorted(
            (float(((pixels[y : y + 8, x : x + 8] - here) ** 2).mean()), y * 26 + x)
            for y in range(max(top - 19, 0), min(top + 19, 29) + 1)
            for x in range(max(left - 19, 0), min(left + 19, 25) + 1)
        )[:16]
        assert groups.place_RK[number].tolist() == [place for _, place in found]
        alike = sum(distance <= 0.01 for distance, _ in found)
        assert int(groups.count_R[number]) == 2 ** int(math.log2(alike))


@pytest.mark.parametrize("rows", [biorthogonal(), cosine()], ids=["biorthogonal", "cosine"])
def test_variance_of_correlated_noise_is_that_of_drawn_noise(rows):
    kernel = np.array([[0.2, 0.5, 1.0], [0.1, 0.6, 0.3]])
    rng, draws = np.random.default_rng(0), 1000
    white = rng.standard_normal((draws, 13, 12))
    noise = scipy.ndimage.convolve(white, kernel[None] / np.linalg.norm(kernel), mode="wrap")
    place = torch.tensor([[0, 1, 2 * 5 + 3, 3 * 5 + 4]])  # of 6 x 5, overlapping
    coefficients = grouped(spectra(torch.tensor(noise), rows), place)[:, 0]  # a plane for each draw
    ours = NoiseCovariance(spectrum_of(kernel.tolist()), rows, torch.zeros(1).double())(place, 5)[:, 0]
    # A variance estimated from n draws has the relative deviation sqrt(2 / n), and 256 are looked at.
    np.testing.assert_allclose(coefficients.var(dim=1).numpy(), ours.numpy(), rtol=4.5 * math.sqrt(2 / draws))


def test_blocks_alone_have_the_variance_of_white_noise():
    ours = NoiseCovariance(spectrum_of([[2.0]]), cosine(), torch.zeros(1).double())(torch.tensor([[5]]), 30)
    torch.testing.assert_close(ours, torch.ones(1, 1, 64, dtype=torch.float64))


@pytest.mark.parametrize("solver", ["bm3d", "despeckle_bm3d"])
@pytest.mark.parametrize("level", [0.0, 0.1])
def test_what_is_flat_stays_as_it_is(solver, level):
    """Borders of scans, skies: of equal blocks, the reference is one of its group."""
    image_BCHW = torch.zeros(1, 3, 40, 70)
    image_BCHW[..., 30:] = 0.5
    restored_BCHW = catalog.build_solver(solver)(
        image_BCHW, condition=Condition(noise_level_B=torch.tensor([level]))
    )
    torch.testing.assert_close(restored_BCHW, image_BCHW, atol=0.02, rtol=0)


def test_bm3d_beats_non_local_means():
    clean = scene(1, 80, 80)
    noisy = clean + noise_like(clean, 0.1)
    margin = psnr(restored_by("bm3d", noisy), clean) - psnr(restored_by("non_local_means", noisy), clean)
    assert margin > 0.7


def test_colours_together_are_better_than_one_by_one():
    clean = scene(3, 64, 64)
    noisy = clean + noise_like(clean, 0.1)
    single = torch.cat([restored_by("bm3d", noisy[:, band : band + 1]) for band in range(3)], dim=1)
    assert psnr(restored_by("bm3d", noisy), clean) > psnr(single, clean) + 0.3


def test_knowing_the_spectrum_of_the_noise_helps():
    clean = scene(1, 64, 64)
    kernel = np.ones((1, 7))
    white = noise_like(clean, 0.1)[0, 0].numpy()
    noise = scipy.ndimage.convolve(white, kernel / np.linalg.norm(kernel), mode="wrap")
    noisy = clean + torch.tensor(noise)
    streaks = restored_by("bm3d", noisy, noise_kernel=kernel.tolist())
    assert psnr(streaks, clean) > psnr(restored_by("bm3d", noisy), clean) + 1.0
    noisy = clean + noise_like(clean, 0.1)
    one = restored_by("bm3d", noisy, noise_kernel=[[3.0]])
    assert psnr(one, clean) == pytest.approx(psnr(restored_by("bm3d", noisy), clean), abs=0.2)


@pytest.mark.parametrize(
    "kernel", [[], 3, [1.0, 2.0], "12", [[1.0], [1.0, 2.0]], [[0.0]], [[math.inf]], [[1.0] * 40]]
)
def test_a_kernel_of_noise_that_is_none_is_refused(kernel):
    with pytest.raises(ValueError, match="bm3d: noise_kernel must be"):
        catalog.build_solver("bm3d", noise_kernel=kernel)


def test_bands_of_rows_give_the_whole_image(monkeypatch):
    noisy = scene(1, 120, 24)[0] + noise_like(torch.zeros(1, 120, 24), 0.1)
    whole = bm3d.denoise(noisy, 0.1)
    monkeypatch.setattr(bm3d, "_BAND_VALUES", 1)
    torch.testing.assert_close(bm3d.denoise(noisy, 0.1), whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("looks", [1.0, 4.0])
def test_mean_and_deviation_of_the_logarithm_of_speckle(looks):
    mean, deviation = log_speckle(looks)
    expected = scipy.stats.loggamma(looks, loc=-math.log(looks))
    assert (mean, deviation) == pytest.approx((expected.mean(), expected.std()))


@pytest.mark.parametrize(
    ("solver", "parameters", "margin"),
    [("despeckle_bm3d", {}, 10), ("lee", {}, 7), ("lee", {"windows": "edge_aligned"}, 6)],
)
@pytest.mark.parametrize("domain", ["intensity", "amplitude"])
def test_speckle_is_removed_and_the_mean_kept(solver, parameters, domain, margin):
    clean = scene(1, 80, 80).clamp(min=0.05)
    speckled = Speckle(looks=4.0, domain=domain)(clean, torch.Generator().manual_seed(0))
    restorer = catalog.build_solver(solver, looks=4, domain=domain, **parameters)
    restored = restorer(speckled)
    assert psnr(restored, clean) > psnr(speckled, clean) + (margin if domain == "intensity" else margin - 4)
    power = 2 if domain == "amplitude" else 1
    assert float((restored**power).mean()) == pytest.approx(float((speckled**power).mean()), rel=0.02)


def test_lee_equals_its_formula():
    image = scene(1, 12, 15).double() + 0.05
    restored = catalog.build_solver("lee", looks=2, radius=2).model(image, Condition())[0, 0].numpy()
    padded = np.pad(image[0, 0].numpy(), 2, mode="reflect")
    for row in range(12):
        for column in range(15):
            window = padded[row : row + 5, column : column + 5]
            mean, variance, pixel = window.mean(), window.var(), padded[row + 2, column + 2]
            scene_variance = max((variance - mean**2 / 2) / 1.5, 0)
            assert restored[row, column] == pytest.approx(mean + scene_variance / variance * (pixel - mean))


def test_refined_lee_keeps_an_edge_that_lee_blurs():
    edge = torch.full((1, 1, 32, 32), 0.1)
    edge[..., 16:] = 0.8
    speckled = Speckle(looks=16.0)(edge, torch.Generator().manual_seed(0))
    plain, refined = (
        catalog.build_solver("lee", looks=16, windows=windows)(speckled)
        for windows in ("square", "edge_aligned")
    )
    beside = (..., slice(4, -4), slice(14, 18))
    assert psnr(refined[beside], edge[beside]) > psnr(plain[beside], edge[beside]) + 2
    # The halves lie on the pixel's own side, whichever way the image is turned.
    for turns in (1, 2, 3):
        turned = catalog.build("refined-lee")(speckled.rot90(turns, (2, 3))).rot90(-turns, (2, 3))
        torch.testing.assert_close(turned, catalog.build("refined-lee")(speckled), atol=0.2, rtol=0)


@pytest.mark.parametrize("looks", [1, 4, 16])
def test_refined_lee_is_not_below_lee(looks):
    clean = scene(1, 80, 80).clamp(min=0.05)
    speckled = Speckle(looks=looks)(clean, torch.Generator().manual_seed(0))
    plain, refined = (
        psnr(catalog.build_solver("lee", looks=looks, windows=windows)(speckled), clean)
        for windows in ("square", "edge_aligned")
    )
    assert refined > plain - 0.02


def test_refined_lee_refuses_another_window():
    with pytest.raises(ValueError, match="radius must be 3 with edge_aligned"):
        catalog.build_solver("lee", windows="edge_aligned", radius=2)


def test_groups_are_transformed_along_their_blocks():
    image = scene(1, 16, 16)[0].double()
    spectrum = spectra(image, cosine())
    place = torch.tensor([[3, 40]])
    coefficients = grouped(spectrum, place)[:, 0, 0]
    first, second = (
        on_blocks(cosine()) @ image[0, y : y + 8, x : x + 8].flatten() for y, x in ((0, 3), (4, 4))
    )
    torch.testing.assert_close(coefficients[0], (first + second) / math.sqrt(2))
    torch.testing.assert_close(coefficients[1], (first - second) / math.sqrt(2))
