"""Solvers against scikit-image, SciPy, dense linear algebra, formulas written out, and laws."""

import math

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import skimage.data
import skimage.restoration
import torch

from models import catalog
from models.contract import Condition, RestorerError
from models.noise_level import estimate_noise_level
from models.operators.blur import AnisotropicGaussianBlur, DefocusBlur, GaussianBlur, KernelBlur
from models.operators.mask import Mask
from models.operators.motion import MotionBlur
from models.operators.resample import Bicubic
from models.solvers import biharmonic, median
from models.solvers.bilaplacian import bilaplacian, equations
from models.solvers.block_elimination import solve_blocks
from models.solvers.denoiser_prior import data_step
from models.solvers.forward import Forward
from models.solvers.gradient import divergence, gradient, magnitude
from models.solvers.point_spread import gradient_energy, point_spread
from models.solvers.quadratic_deconvolution import deconvolve_cut_out, deconvolve_periodic, wraps_around
from models.solvers.spectral_prior import Prior, spectrum
from models.solvers.wavelets import daubechies, decompose, recompose

RNG = torch.Generator()
BLUR_SMALL = GaussianBlur(sigma=0.8, size=5)


def photograph(name="camera", side=96, top=90, left=190, dtype=torch.float64):
    pixels = getattr(skimage.data, name)() / 255.0
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    crop = pixels[top : top + side, left : left + side]
    return torch.tensor(crop, dtype=dtype).permute(2, 0, 1)[None].contiguous()


def noise_like(image, level, seed=0):
    return level * torch.randn(image.shape, generator=torch.Generator().manual_seed(seed), dtype=image.dtype)


def psnr(image, reference):
    return float(-10 * torch.log10((image - reference).square().mean()))


def model(solver, **parameters):
    return catalog.build_solver(solver, **parameters).model


def level(value, batch=1):
    return Condition(noise_level_B=torch.full((batch,), value, dtype=torch.float64))


def dense(function, shape_in):
    """The matrix of a linear function, one unit image at a time."""
    size = math.prod(shape_in)
    columns = [
        function(unit.reshape(1, 1, *shape_in)).flatten() for unit in torch.eye(size, dtype=torch.float64)
    ]
    return torch.stack(columns, dim=1).numpy()


# --- scikit-image, SciPy and formulas as referees


@pytest.mark.parametrize("weight", [0.02, 0.1])
def test_total_variation_equals_scikit_image(weight):
    batch = torch.cat([photograph("astronaut", 48), photograph("coffee", 48)])
    noisy = batch + noise_like(batch, 0.1)
    ours = model("total_variation", weight=weight)(noisy, Condition())
    for image, expected in zip(ours, noisy, strict=True):
        theirs = skimage.restoration.denoise_tv_chambolle(expected.numpy(), weight, channel_axis=0)
        np.testing.assert_allclose(image.numpy(), theirs, atol=1e-12)


def test_total_variation_and_primal_dual_find_the_same_minimum():
    noisy = photograph(side=32) + noise_like(photograph(side=32), 0.1)

    class Unchanged:
        def __call__(self, image, rng):
            return image

        def adjoint(self, image, height, width):
            return image

    chambolle = model("total_variation", weight=0.1, tolerance=0.0, iterations=4000)(noisy, Condition())
    primal_dual = model("total_variation_deblurring", weight=0.1, iterations=4000)(
        noisy, Condition(operators=(Unchanged(),))
    )
    torch.testing.assert_close(primal_dual, chambolle, atol=2e-4, rtol=0)


def test_non_local_means_equals_its_formula():
    clean = photograph("astronaut", 14)
    image, patch, reach, sigma, strength = clean + noise_like(clean, 0.1), 1, 2, 0.1, 0.9
    ours = model("non_local_means", patch=patch, reach=reach, strength=strength)(image, level(sigma))[
        0
    ].numpy()
    padded = np.pad(image[0].numpy(), ((0, 0), (patch + reach,) * 2, (patch + reach,) * 2), mode="reflect")
    expected = np.empty_like(ours)
    for row in range(14):
        for column in range(14):
            y, x = row + patch + reach, column + patch + reach
            here = padded[:, y - patch : y + patch + 1, x - patch : x + patch + 1]
            total, weights = 0.0, 0.0
            for v in range(y - reach, y + reach + 1):
                for u in range(x - reach, x + reach + 1):
                    there = padded[:, v - patch : v + patch + 1, u - patch : u + patch + 1]
                    distance = max(np.mean((here - there) ** 2) - 2 * sigma**2, 0) / (strength * sigma) ** 2
                    weight = math.exp(-distance) if distance <= 5 else 0.0
                    total, weights = total + weight * padded[:, v, u], weights + weight
            expected[:, row, column] = total / weights
    np.testing.assert_allclose(ours, expected, atol=1e-12)


def test_non_local_means_agrees_with_scikit_image():
    clean = photograph("astronaut", 64)
    noisy = clean + noise_like(clean, 0.1)
    ours = model("non_local_means", patch=2, reach=5, strength=2.0)(noisy, level(0.1))[0]
    theirs = skimage.restoration.denoise_nl_means(
        noisy[0].numpy(), 5, 5, h=0.2, sigma=0.1, fast_mode=True, channel_axis=0
    )
    # Theirs sums patches over one row and column less, approximates the exponential,
    # and treats the border in another way.
    assert np.median(np.abs(ours.numpy() - theirs)) < 0.004
    assert psnr(ours, clean[0]) == pytest.approx(psnr(torch.as_tensor(theirs), clean[0]), abs=0.6)


def test_bilateral_equals_its_formula():
    image = photograph("coffee", 12)
    ours = model("bilateral", radius=2, sigma_space=1.3, sigma_range=0.1)(image, Condition())[0].numpy()
    padded = np.pad(image[0].numpy(), ((0, 0), (2, 2), (2, 2)), mode="reflect")
    expected = np.empty_like(ours)
    for row in range(12):
        for column in range(12):
            window = padded[:, row : row + 5, column : column + 5]
            y, x = np.mgrid[-2:3, -2:3]
            colour = np.mean((window - padded[:, row + 2, column + 2, None, None]) ** 2, axis=0)
            weights = np.exp(-(x**2 + y**2) / (2 * 1.3**2)) * np.exp(-colour / (2 * 0.1**2))
            expected[:, row, column] = (weights * window).sum(axis=(1, 2)) / weights.sum()
    np.testing.assert_allclose(ours, expected, atol=1e-12)


@pytest.mark.parametrize("radius", [1, 3])
def test_median_equals_scipy(radius, monkeypatch):
    monkeypatch.setattr(median, "_MOST_VALUES", 20 * 3 * 49 * 6)  # several strips, the last one smaller
    image = photograph("astronaut", 20)
    ours = model("median", radius=radius)(image, Condition())[0].numpy()
    theirs = [
        scipy.ndimage.median_filter(band, size=2 * radius + 1, mode="mirror") for band in image[0].numpy()
    ]
    np.testing.assert_array_equal(ours, np.stack(theirs))


def gaussian_kernel(sigma, radius):
    taps = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
    return np.outer(taps, taps) / taps.sum() ** 2


def wrapped(image, kernel):
    """Every band convolved with a kernel that wraps around the border."""
    bands = [scipy.ndimage.convolve(band, kernel, mode="wrap") for band in image[0].numpy()]
    return torch.tensor(np.stack(bands))[None]


def test_wiener_filter_equals_scikit_image():
    image = photograph("astronaut", 30)
    kernel = gaussian_kernel(1.2, 4) * np.linspace(0.5, 1.5, 9)  # lopsided, so that a flipped kernel shows
    weights = torch.full((1, 3), 0.02, dtype=torch.float64)
    prior = Prior(weights, torch.ones_like(weights), torch.ones_like(weights))
    ours = deconvolve_periodic(image, torch.tensor(kernel)[None], prior.penalty)
    penalty = gradient_energy(30, 30, image).sqrt().numpy().astype(complex)
    for band, expected in zip(ours[0].numpy(), image[0].numpy(), strict=True):
        theirs = skimage.restoration.wiener(expected, kernel, 0.02, reg=penalty, clip=False)
        np.testing.assert_allclose(band, theirs, atol=1e-10)


@pytest.mark.parametrize("noise", [None, 0.002], ids=["unknown noise", "known noise"])
def test_the_prior_of_an_image_drawn_from_it_is_found(noise):
    white = noise_like(torch.zeros(1, 1, 135, 135, dtype=torch.float64), 1.0)
    slope = gradient_energy(135, 135, white)
    slope[0, 0] = math.inf
    drawn = torch.fft.irfft2(torch.fft.rfft2(white) * 0.1 / slope**0.75, s=(135, 135))
    kernel = gaussian_kernel(1.0, 3)
    observed = wrapped(drawn, kernel) + noise_like(drawn, 0.002, seed=1)
    level = None if noise is None else torch.full((1, 1, 1, 1), noise, dtype=torch.float64)
    prior = spectrum(observed, torch.tensor(kernel)[None], periodic=True).prior(level)
    assert float(prior.exponent_BC) == 1.5
    assert float(prior.balance_BC) == pytest.approx(0.02**2, rel=0.1)
    assert float(prior.noise_precision_BC) == pytest.approx(0.002**-2, rel=0.05)


def test_deconvolution_of_a_cut_out_equals_the_dense_solution():
    seen, kernel = photograph(side=10), gaussian_kernel(0.8, 1) * np.linspace(0.5, 1.5, 3)
    kernel /= kernel.sum()
    weights = torch.full((1, 1), 0.01, dtype=torch.float64)
    prior = Prior(weights, torch.ones_like(weights), torch.ones_like(weights))
    ours = deconvolve_cut_out(seen, torch.tensor(kernel)[None], prior.penalty)
    blurring = dense(lambda scene: wrapped(scene, kernel)[..., 1:-1, 1:-1], (12, 12))
    slopes = [dense(lambda scene, axis=axis: scene - scene.roll(1, axis), (12, 12)) for axis in (-2, -1)]
    matrix = blurring.T @ blurring + 0.01 * sum(slope.T @ slope for slope in slopes)
    expected = np.linalg.solve(matrix, blurring.T @ seen.flatten().numpy()).reshape(12, 12)[1:-1, 1:-1]
    np.testing.assert_allclose(ours[0, 0].numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("border", ["circular", "symmetric"])
@pytest.mark.parametrize("sigma", [1.0, 2.55, 7.65])
def test_deconvolution_is_not_below_scikit_image_under_camera_shake(border, sigma):
    shake = MotionBlur(length=25.0, shake=0.05).drawn(torch.Generator().manual_seed(4))
    blur = KernelBlur(values=shake.values, border=border)
    clean = photograph(side=160, top=60, left=130, dtype=torch.float32)
    noisy = blur(clean, RNG) + noise_like(clean, sigma / 255)
    condition = Condition(operators=(blur,), noise_level_B=torch.tensor([sigma / 255]))
    ours = {
        name: psnr(catalog.build(name)(noisy, condition=condition).clamp(0, 1), clean)
        for name in ("wiener", "unsupervised-wiener", "richardson-lucy", "richardson-lucy-tv")
    }
    image, kernel = noisy[0, 0].double().numpy(), blur.kernel().numpy()

    def score(restored):
        return psnr(torch.tensor(restored).clamp(0, 1), clean[0, 0])

    best = max(score(skimage.restoration.wiener(image, kernel, 10.0**e)) for e in (-3, -2.5, -2, -1.5, -1))
    assert ours["wiener"] > best, "theirs was told the best balance of five"
    blind, _ = skimage.restoration.unsupervised_wiener(image, kernel, rng=0)
    assert ours["unsupervised-wiener"] > score(blind)
    lucy = max(score(skimage.restoration.richardson_lucy(image, kernel, num_iter=n)) for n in (10, 20, 30))
    assert min(ours["richardson-lucy"], ours["richardson-lucy-tv"]) > lucy


@pytest.mark.parametrize("noise", [0.0, 0.3], ids=["exact", "rounded to 8 bits"])
def test_deconvolution_settles_where_there_is_hardly_any_noise(noise):
    shake = MotionBlur(length=20.0, shake=0.03).drawn(torch.Generator().manual_seed(3))
    clean = photograph(side=128, top=60, left=130, dtype=torch.float32)
    noisy = shake(clean, RNG) + noise_like(clean, noise / 255)
    condition = Condition(operators=(shake,), noise_level_B=torch.tensor([noise / 255]))
    for name in ("wiener", "unsupervised-wiener"):
        restored = catalog.build(name)(noisy, condition=condition)
        assert psnr(restored, clean) > psnr(noisy, clean) + 5.0


@pytest.mark.parametrize("border", ["circular", "symmetric"])
def test_wiener_finds_a_texture_that_a_power_of_the_gradient_does_not_know(border):
    waves = torch.sin(torch.arange(96) * 2 * torch.pi / 7.3)
    clean = photograph(side=96, top=60, left=130) / 2 + 0.15 * waves * waves[:, None] + 0.25
    blur = DefocusBlur(radius=1.5, border=border)
    noisy = blur(clean, RNG) + noise_like(clean, 0.03)
    level, kernel = torch.full((1, 1, 1, 1), 0.03).double(), blur.kernel()[None]
    prior = spectrum(noisy, kernel, periodic=border == "circular").prior(level)
    deconvolve = deconvolve_periodic if border == "circular" else deconvolve_cut_out
    told = Condition(operators=(blur,), noise_level_B=level.flatten())
    restored = catalog.build("wiener")(noisy, condition=told)
    assert psnr(restored, clean) > psnr(deconvolve(noisy, kernel, prior.penalty), clean) + 0.8


def test_a_blur_that_wraps_around_is_told_from_one_that_does_not():
    image = photograph(side=40)
    for border, expected in (("circular", True), ("symmetric", False)):
        blur = DefocusBlur(radius=2.0, border=border)
        assert wraps_around((blur,), blur.kernel()[None], image) is expected
    large = DefocusBlur(radius=30.0, border="circular")
    assert not wraps_around((large,), large.kernel()[None], image), "a kernel larger than the image"


@pytest.mark.parametrize(("sigma", "noise"), [(1.6, 2 / 255), (1.0, 10 / 255)])
def test_unsupervised_wiener_agrees_with_a_long_chain_of_scikit_image(sigma, noise):
    # Odd sides: for even ones scikit-image counts the highest horizontal frequency twice.
    clean, kernel = photograph("astronaut", 95), gaussian_kernel(sigma, 6)
    noisy = wrapped(clean, kernel) + noise_like(clean, noise)
    kernel_1KK = torch.tensor(kernel)[None]
    prior = spectrum(noisy, kernel_1KK, periodic=True).prior(None, exponents=(2.0,))
    ours = deconvolve_periodic(noisy, kernel_1KK, prior.penalty)
    noise_precision, image_precision = prior.noise_precision_BC, prior.noise_precision_BC * prior.balance_BC
    torch.testing.assert_close(noise_precision**-0.5, torch.full((1, 3), noise).double(), rtol=0.04, atol=0)
    chain = {"max_num_iter": 600, "burnin": 100, "threshold": 0}
    for band in (0, 2):
        theirs, drawn = skimage.restoration.unsupervised_wiener(
            noisy[0, band].numpy(), kernel, clip=False, rng=0, user_params=chain
        )
        assert float(noise_precision[0, band]) == pytest.approx(np.mean(drawn["noise"][100:]), rel=0.01)
        assert float(image_precision[0, band]) == pytest.approx(np.mean(drawn["prior"][100:]), rel=0.03)
        difference = ours[0, band].numpy() - theirs
        # Theirs is the mean of 500 draws, and still as far from its limit as the draws spread over sqrt(500).
        assert np.sqrt(np.mean(difference**2)) < 0.003
        assert psnr(ours[0, band], clean[0, band]) > psnr(torch.tensor(theirs), clean[0, band]) - 0.05


def test_unsupervised_wiener_leaves_a_flat_image_flat():
    flat = torch.full((1, 1, 12, 9), 0.3)
    restored = catalog.build("unsupervised-wiener")(flat, condition=Condition(operators=(BLUR_SMALL,)))
    torch.testing.assert_close(restored, flat)


def test_point_spread_of_a_blur_is_its_kernel():
    blur = GaussianBlur(sigma=1.2, size=9)
    kernel = point_spread((blur,), 2, torch.zeros(1, dtype=torch.float64))
    np.testing.assert_allclose(kernel.numpy(), np.stack([gaussian_kernel(1.2, 4)] * 2), atol=1e-7)
    twice = point_spread((blur, blur), 1, torch.zeros(1, dtype=torch.float64))
    expected = scipy.signal.convolve2d(gaussian_kernel(1.2, 4), gaussian_kernel(1.2, 4))
    np.testing.assert_allclose(twice[0].numpy(), expected, atol=1e-7)


@pytest.mark.parametrize("blur", [
    DefocusBlur(radius=15), KernelBlur(values=((1 / 961,) * 31,) * 31), AnisotropicGaussianBlur(9.0, 4.0),
])  # fmt: skip
def test_point_spread_of_a_wide_flat_blur_ends_where_its_kernel_does(blur):
    kernel = point_spread((blur,), 1, torch.zeros(1))
    assert kernel.dtype == torch.float32
    np.testing.assert_allclose(kernel[0].numpy(), blur.kernel().numpy(), atol=1e-8)


@pytest.mark.parametrize("operator", [Bicubic(scale=2), Mask(share=0.3)], ids=["smaller", "mask"])
def test_wiener_refuses_what_is_no_blur(operator):
    with pytest.raises(RestorerError, match="no blur") as error:
        catalog.build("wiener")(photograph(dtype=torch.float32), condition=Condition(operators=(operator,)))
    assert error.value.reason == "CONDITION_MISSING"


def test_tikhonov_equals_the_dense_solution():
    blur, wanted = GaussianBlur(sigma=1.0, size=5), photograph(side=9)
    degraded = blur(wanted, RNG)
    blurring = dense(lambda image: blur(image, RNG), (9, 9))
    slopes = dense(gradient, (9, 9))
    matrix = blurring.T @ blurring + 0.01 * slopes.T @ slopes
    expected = np.linalg.solve(matrix, blurring.T @ degraded.flatten().numpy()).reshape(9, 9)
    ours = model("tikhonov", weight=0.01, iterations=400)(degraded, Condition(operators=(blur,)))
    np.testing.assert_allclose(ours[0, 0].numpy(), expected, atol=2e-4)


def test_data_step_equals_the_closed_form():
    blur = GaussianBlur(sigma=1.0, size=5)
    observed, prior = blur(photograph(side=24), RNG), photograph("coffee", 24)[:, :1]
    forward = Forward(Condition(operators=(blur,)), observed)
    ours = data_step(
        forward, forward.adjoint(observed), prior, torch.full((1, 1, 1, 1), 0.1, dtype=torch.float64)
    )
    torch.testing.assert_close(ours, blur.prox(prior, observed, 0.1), atol=5e-4, rtol=0)


def test_forward_is_adjoint_through_all_operators():
    condition = Condition(scale=2, operators=(GaussianBlur(sigma=1.0, size=5), Bicubic(scale=2)))
    wanted, observed = photograph(side=24), noise_like(photograph(side=12), 1.0)
    forward = Forward(condition, observed)
    left, right = (forward(wanted) * observed).sum(), (wanted * forward.adjoint(observed)).sum()
    torch.testing.assert_close(left, right, rtol=1e-6, atol=0)
    norm = np.linalg.norm(dense(forward, (24, 24)), 2) ** 2
    assert norm <= forward.squared_norm(observed) <= 1.15 * norm


def test_forward_leaves_rounding_out():
    rounded, exact = (
        Forward(Condition(scale=2, operators=(o,)), photograph(side=12))
        for o in (Bicubic(scale=2, rounding="uint8"), Bicubic(scale=2))
    )
    wanted = photograph(side=24)
    assert torch.equal(rounded(wanted), exact(wanted))
    assert not torch.equal(Bicubic(scale=2, rounding="uint8")(wanted, RNG), exact(wanted))


def test_gradient_and_divergence_are_adjoint():
    image, field = noise_like(torch.zeros(2, 3, 5, 7, dtype=torch.float64), 1.0), torch.zeros(2, 2, 3, 5, 7)
    field = noise_like(field.double(), 1.0, seed=1)
    torch.testing.assert_close((gradient(image) * field).sum(), -(image * divergence(field)).sum())


class ZeroEdged:
    """A convolution with zeros beyond the edge, as scikit-image's Richardson-Lucy has it."""

    def __init__(self, kernel):
        self.kernel = torch.tensor(kernel)[None, None]

    def __call__(self, image, rng):
        return torch.nn.functional.conv2d(image, self.kernel.flip(-2, -1), padding=self.kernel.shape[-1] // 2)

    def adjoint(self, image, height, width):
        return torch.nn.functional.conv2d(image, self.kernel, padding=self.kernel.shape[-1] // 2)


def test_richardson_lucy_equals_scikit_image_away_from_the_edge():
    kernel = gaussian_kernel(1.0, 2) * np.linspace(0.5, 1.5, 5)
    kernel /= kernel.sum()
    blurred = ZeroEdged(kernel)(photograph(side=64), RNG)
    ours = model("richardson_lucy", iterations=4, stop=0)(blurred, Condition(operators=(ZeroEdged(kernel),)))[
        0, 0
    ]
    theirs = skimage.restoration.richardson_lucy(blurred[0, 0].numpy(), kernel, num_iter=4, clip=False)
    # Each iteration brings the border, where ours divides by the true sensitivity, two kernels nearer.
    np.testing.assert_allclose(ours.numpy()[18:-18, 18:-18], theirs[18:-18, 18:-18], atol=1e-9)


def test_richardson_lucy_keeps_the_flux():
    operator = ZeroEdged(gaussian_kernel(1.0, 2))
    blurred = operator(photograph(side=32), RNG)
    image = model("richardson_lucy", iterations=7, stop=0)(blurred, Condition(operators=(operator,)))
    torch.testing.assert_close(operator(image, RNG).sum(), blurred.sum())


def test_daubechies_taps_are_the_published_ones():
    root = math.sqrt(3)
    np.testing.assert_allclose(daubechies(1), [math.sqrt(0.5)] * 2)
    np.testing.assert_allclose(
        daubechies(2), np.array([1 + root, 3 + root, 3 - root, 1 - root]) / (4 * math.sqrt(2)), atol=1e-12
    )
    # Daubechies 1988, table 1, N = 3.
    published = [0.3326705529, 0.8068915093, 0.4598775021, -0.1350110200, -0.0854412739, 0.0352262919]
    np.testing.assert_allclose(daubechies(3), published, atol=1e-9)


@pytest.mark.parametrize("moments", [1, 2, 5, 8])
def test_wavelet_transform_is_orthogonal_and_blind_to_polynomials(moments):
    image = noise_like(torch.zeros(2, 3, 32, 24, dtype=torch.float64), 1.0)
    coarse, details = decompose(image, moments)
    assert coarse.shape == (2, 3, 16, 12)
    torch.testing.assert_close(coarse.square().sum() + details.square().sum(), image.square().sum())
    torch.testing.assert_close(recompose(coarse, details, moments), image)
    line = torch.linspace(0, 1, 64, dtype=torch.float64) ** (moments - 1)
    _, details = decompose(line.expand(1, 1, 8, 64).contiguous(), moments)
    inside = details[..., : 32 - moments]
    assert float(inside.abs().max()) < 1e-8


def holes(kind):
    """48 x 64, true where a pixel is lost."""
    lost = torch.zeros(48, 64, dtype=torch.bool)
    if kind == "scattered":
        lost = torch.rand(48, 64, generator=torch.Generator().manual_seed(0)) < 0.4
    elif kind == "box":
        lost[10:40, 12:40] = True
    elif kind == "corner, edge and specks":
        lost[30:, 40:] = True
        lost[:14, 5:30] = True
        lost[20:24, 3] = True
        lost[0, 50:] = True
    elif kind == "wide":
        lost[8:38, 2:60] = True
        lost[15:20, 20:25] = False
    return lost


@pytest.mark.parametrize("kind", ["scattered", "box", "corner, edge and specks", "wide"])
def test_biharmonic_equals_scikit_image_and_keeps_known_pixels(kind):
    image = torch.cat([photograph("astronaut", 64), photograph("coffee", 64)])[..., :48, :]
    known = ~torch.stack([holes(kind), holes("scattered").flip(0)])[:, None]
    ours = model("biharmonic_inpainting")(image * known, Condition(mask_B1HW=known.float()))
    for index in range(2):
        theirs = skimage.restoration.inpaint_biharmonic(
            (image * known)[index].numpy(), ~known[index, 0].numpy(), channel_axis=0
        )
        np.testing.assert_allclose(ours[index].numpy(), theirs, atol=1e-5)
    assert torch.equal(ours * known, image * known)


def test_biharmonic_equations_are_the_operator_twice():
    unknown = torch.ones(5, 4, dtype=torch.bool)
    number, factor = equations(unknown)
    ours = torch.zeros(20, 20, dtype=torch.float64)
    row, other = (number >= 0).nonzero(as_tuple=True)
    ours[row, number[row, other]] = factor[row, other]
    # scipy's "reflect" repeats the edge pixel.
    units = np.eye(20).reshape(20, 5, 4)
    expected = [
        scipy.ndimage.laplace(scipy.ndimage.laplace(unit, mode="reflect"), mode="reflect") for unit in units
    ]
    np.testing.assert_allclose(ours.numpy(), np.stack(expected).reshape(20, 20).T, atol=1e-12)
    np.testing.assert_allclose(bilaplacian(torch.tensor(units)).numpy(), np.stack(expected), atol=1e-12)


@pytest.mark.parametrize("cost", [0.0, math.inf], ids=["by steps", "by elimination"])
def test_both_ways_fill_a_hole_alike(cost, monkeypatch):
    monkeypatch.setattr(biharmonic, "_cost_of_steps", lambda hole, channels: cost)
    image, known = photograph("astronaut", 64)[..., :48, :], ~holes("box")[None, None]
    ours = model("biharmonic_inpainting")(image * known, Condition(mask_B1HW=known.float()))
    theirs = skimage.restoration.inpaint_biharmonic(image[0].numpy(), ~known[0, 0].numpy(), channel_axis=0)
    np.testing.assert_allclose(ours[0].numpy(), theirs, atol=1e-5 if cost == 0 else 1e-9)


def test_block_elimination_equals_the_dense_solution():
    rng = torch.Generator().manual_seed(0)
    sizes = [3, 1, 4, 2]
    matrix = torch.zeros(10, 10, dtype=torch.float64)
    ends = np.cumsum(sizes)
    for start, end in zip([0, 0, 3, 4], ends, strict=True):  # each block with the one before
        part = torch.randn(end - start, end - start, generator=rng, dtype=torch.float64)
        matrix[start:end, start:end] += part @ part.T + torch.eye(end - start)
    right = torch.randn(10, 2, generator=rng, dtype=torch.float64)
    starts = [0, *ends[:-1]]
    blocks = [
        (matrix[a:b, a:b], matrix[a:b, b : b + after], right[a:b])
        for a, b, after in zip(starts, ends, [*sizes[1:], 0], strict=True)
    ]
    np.testing.assert_allclose(
        solve_blocks(blocks).numpy(), np.linalg.solve(matrix.numpy(), right.numpy()), atol=1e-10
    )


def test_total_variation_inpainting_bridges_an_edge_with_less_variation():
    image = torch.zeros(1, 1, 24, 24, dtype=torch.float64)
    image[..., 12:] = 1.0
    known = torch.ones_like(image)
    known[..., 8:16, 10:15] = 0
    filled = model("total_variation_inpainting", iterations=2000)(image * known, Condition(mask_B1HW=known))
    torch.testing.assert_close(filled, image, atol=0.02, rtol=0)
    natural = photograph(side=40)
    holes = (torch.rand(1, 1, 40, 40, generator=torch.Generator().manual_seed(0)) < 0.6).double()
    condition = Condition(mask_B1HW=holes)
    ours = model("total_variation_inpainting", iterations=2000)(natural * holes, condition)
    smooth = model("biharmonic_inpainting")(natural * holes, condition)
    assert magnitude(gradient(ours)).sum() < magnitude(gradient(smooth)).sum()
    assert torch.equal(ours * holes, natural * holes)


def test_fast_marching_continues_a_slope_and_weighs_the_near_side_of_an_edge():
    ramp = torch.linspace(0.2, 0.8, 40, dtype=torch.float64).expand(1, 1, 32, 40).contiguous()
    known = torch.ones(1, 1, 32, 40)
    known[..., 8:24, 15:25] = 0
    condition = Condition(mask_B1HW=known)
    filled = model("fast_marching_inpainting", slope=1.0)(ramp * known, condition)
    torch.testing.assert_close(filled, ramp, atol=0.01, rtol=0)
    mean = model("fast_marching_inpainting", slope=0.0)(ramp * known, condition)
    assert float((mean - ramp).abs().max()) > 0.03
    step = (ramp > 0.5).double()
    filled = model("fast_marching_inpainting")(step * known, condition)
    assert float(filled[..., 16, 15]) < 0.1, "the left edge goes on from the left"
    assert float(filled[..., 16, 24]) > 0.9, "the right edge from the right"
    assert torch.equal(filled * known, step * known)


def test_exemplars_go_on_with_a_pattern_that_neighbours_do_not_tell():
    rows, columns = torch.meshgrid(torch.arange(60), torch.arange(60), indexing="ij")
    brick = ((rows % 8 < 2) | ((columns + 5 * (rows // 8 % 2)) % 10 < 2)).double()[None, None]
    known = torch.ones(1, 1, 60, 60)
    known[..., 22:38, 20:37] = 0
    told = Condition(mask_B1HW=known)
    ours, near = (model(f"{each}_inpainting")(brick * known, told) for each in ("exemplar", "fast_marching"))
    assert torch.equal(ours * known, brick * known)
    assert psnr(ours, brick) > psnr(near, brick) + 6


@pytest.mark.parametrize("solver", ["fast_marching_inpainting", "exemplar_inpainting"])
def test_inpainting_does_not_look_into_holes(solver):
    image, known = photograph(side=40), torch.ones(1, 1, 40, 40)
    known[..., 3:30, 10:14] = 0
    known[..., 35:, 35:] = 0
    condition = Condition(mask_B1HW=known)
    poisoned = torch.where(known > 0, image, float("nan"))
    ours = model(solver)(poisoned, condition)
    assert torch.equal(ours, model(solver)(image, condition))


@pytest.mark.parametrize(
    "name",
    [f"{each}-inpainting" for each in ("biharmonic", "total-variation", "fast-marching", "exemplar")],
)
def test_a_mask_that_covers_everything_is_refused(name):
    with pytest.raises(RestorerError, match="no known pixel") as error:
        catalog.build(name)(
            photograph(dtype=torch.float32), condition=Condition(mask_B1HW=torch.zeros(1, 1, 96, 96))
        )
    assert error.value.reason == "CONDITION_MISSING"


def test_regularisation_by_denoising_nears_its_fixed_point():
    blur = GaussianBlur(sigma=1.2)
    degraded = blur(photograph(), RNG) + noise_like(photograph(), 2 / 255)
    condition = Condition(operators=(blur,), noise_level_B=torch.tensor([2 / 255]))
    denoiser = catalog.build("wavelet")

    def residual(iterations):
        image = model("regularisation_by_denoising", denoiser=denoiser, iterations=iterations)(
            degraded, condition
        )
        denoised = denoiser(image, condition=level(3.25 / 255))
        pull = blur.adjoint(blur(image, RNG) - degraded, 96, 96)
        return float((pull + 0.02 * 4 * (image - denoised)).norm())

    assert residual(40) < 0.2 * residual(2)


# --- every solver makes a known scene better, by a stated margin in dB

BLUR = GaussianBlur(sigma=1.6)


@pytest.mark.parametrize(
    ("solver", "parameters", "sigma", "margin"),
    [
        ("total_variation", {}, 25, 7.0),
        ("wavelet_shrinkage", {}, 25, 6.0),
        ("non_local_means", {}, 25, 7.0),
        ("bilateral", {}, 25, 5.5),
    ],
)
def test_denoisers(solver, parameters, sigma, margin):
    clean = photograph("astronaut", 128, 0, 160, dtype=torch.float32)
    noisy = clean + noise_like(clean, sigma / 255)
    restorer = catalog.build_solver(solver, **parameters)
    told = restorer(noisy, condition=Condition(noise_level_B=torch.tensor([sigma / 255])))
    assert psnr(told, clean) > psnr(noisy, clean) + margin
    assert abs(psnr(restorer(noisy), clean) - psnr(told, clean)) < 0.3, "the blind estimate should do as well"


def test_median_removes_impulses():
    clean = photograph(side=128, dtype=torch.float32)
    struck = torch.rand(clean.shape, generator=torch.Generator().manual_seed(0))
    noisy = torch.where(struck < 0.05, 0.0, torch.where(struck > 0.95, 1.0, clean))
    assert psnr(catalog.build("median")(noisy), clean) > psnr(noisy, clean) + 10


@pytest.mark.parametrize(
    ("solver", "parameters", "margin"),
    [
        ("wiener", {}, 2.0),
        ("unsupervised_wiener", {}, 2.0),
        ("richardson_lucy", {}, 2.0),
        ("richardson_lucy", {"total_variation": 0.002}, 2.0),
        ("tikhonov", {}, 2.5),
        ("total_variation_deblurring", {}, 3.0),
        ("plug_and_play", {"denoiser": "total-variation"}, 3.0),
        ("regularisation_by_denoising", {"denoiser": "total-variation"}, 3.0),
    ],
)
def test_deblurring(solver, parameters, margin):
    clean = photograph(dtype=torch.float32)
    blurred = BLUR(clean, RNG) + noise_like(clean, 2 / 255)
    condition = Condition(operators=(BLUR,), noise_level_B=torch.tensor([2 / 255]))
    restored = catalog.build_solver(solver, **parameters)(blurred, condition=condition)
    assert psnr(restored, clean) > psnr(blurred, clean) + margin


@pytest.mark.parametrize(
    ("solver", "parameters", "margin"),
    [
        ("tikhonov", {}, 0.7),
        ("total_variation_deblurring", {}, 1.0),
        ("richardson_lucy", {}, 0.5),
        ("plug_and_play", {"denoiser": "total-variation"}, 0.7),
    ],
)
def test_super_resolution_beats_bicubic(solver, parameters, margin):
    clean = photograph(dtype=torch.float32)
    operator = Bicubic(scale=2, rounding="uint8")
    smaller = operator(clean, RNG)
    condition = Condition(scale=2, operators=(operator,), noise_level_B=torch.tensor([1 / 255]))
    restored = catalog.build_solver(solver, **parameters)(smaller, condition=condition)
    bicubic = catalog.build("bicubic")(smaller, condition=condition)
    assert psnr(restored, clean) > psnr(bicubic, clean) + margin


@pytest.mark.parametrize(
    ("name", "margin"),
    [("biharmonic-inpainting", 15), ("total-variation-inpainting", 15), ("fast-marching-inpainting", 13)],
)
def test_inpainting(name, margin):
    clean = photograph(dtype=torch.float32)
    known = (torch.rand(1, 1, 96, 96, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    filled = catalog.build(name)(clean * known, condition=Condition(mask_B1HW=known))
    assert psnr(filled, clean) > psnr(clean * known, clean) + margin


def test_operators_that_do_not_lead_to_the_image_are_named():
    condition = Condition(scale=2, operators=(BLUR,))
    with pytest.raises(RestorerError, match=r"the operators turn 192 x 192 into \(192, 192\)") as error:
        catalog.build("tikhonov")(photograph(dtype=torch.float32), condition=condition)
    assert error.value.reason == "CONDITION_MISSING"


# --- the blind noise level


@pytest.mark.parametrize("name", ["astronaut", "camera", "chelsea", "coffee", "brick", "rocket", "moon"])
@pytest.mark.parametrize(("sigma", "tolerance"), [(10, 0.2), (25, 0.1), (50, 0.05)])
def test_noise_level_is_estimated(name, sigma, tolerance):
    clean = photograph(name, 256, 0, 0, dtype=torch.float32)
    noisy = clean + noise_like(clean, sigma / 255)
    assert float(estimate_noise_level(noisy)) * 255 == pytest.approx(sigma, rel=tolerance)


def test_noise_level_is_per_image():
    clean = photograph("chelsea", 200, 0, 0, dtype=torch.float32)
    noisy = torch.cat([clean, clean + noise_like(clean, 0.1), clean + noise_like(clean, 0.2)])
    together = estimate_noise_level(noisy)
    assert together[0] < 0.01
    alone = torch.cat([estimate_noise_level(image[None]) for image in noisy])
    torch.testing.assert_close(together, alone)
    torch.testing.assert_close(estimate_noise_level(noisy * 65535), together * 65535)


def test_noise_level_of_flat_and_tiny_images_is_zero():
    assert float(estimate_noise_level(torch.full((1, 3, 40, 40), 0.3))) == 0
    assert float(estimate_noise_level(torch.rand(1, 1, 2, 50))) == 0
