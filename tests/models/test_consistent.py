"""The consistent solver: against the closed form, and by what it promises of its residual."""

import math

import pytest
import skimage.data
import torch

from models import catalog
from models.contract import Condition, RestorerError
from models.operators.blur import GaussianBlur
from models.operators.mask import Mask
from models.operators.resample import Bicubic, axis_weights
from models.solvers.chebyshev import chebyshev, iterations_for
from models.solvers.consistent import _spectrum

RNG = torch.Generator()


def photograph(side=128, dtype=torch.float32):
    pixels = skimage.data.astronaut()[:side, 160 : 160 + side] / 255
    return torch.tensor(pixels, dtype=dtype).permute(2, 0, 1)[None].contiguous()


def psnr(image, reference):
    return float(-10 * torch.log10((image - reference).square().mean()))


def test_chebyshev_keeps_the_promised_share_and_no_more_for_the_worst_case():
    eigenvalues = torch.linspace(0.05, 0.26, 500, dtype=torch.float64).view(1, 1, 20, 25)
    right = torch.ones_like(eigenvalues)
    for tolerance in (0.3, 0.01, 1e-6):
        steps = iterations_for(tolerance, 0.05, 0.26)
        left = (right - eigenvalues * chebyshev(eigenvalues.mul, right, 0.05, 0.26, steps)).abs().max()
        assert left <= tolerance
        if steps > 1:
            less = chebyshev(eigenvalues.mul, right, 0.05, 0.26, steps - 1)
            assert (right - eigenvalues * less).abs().max() > tolerance / 8
    assert iterations_for(0.01, 0.3, 0.3) == 1
    torch.testing.assert_close(chebyshev(lambda x: 0.3 * x, right, 0.3, 0.3, 5), right / 0.3)


@pytest.mark.parametrize("kernel", ["bicubic", "area", "bilinear", "lanczos"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_eigenvalues_of_all_sizes_are_within_the_bounds(kernel, scale):
    low, high = _spectrum(kernel, scale)
    for side in (1, 2, 3, 7, 20, 150):
        matrix = axis_weights(scale * side, side, kernel)
        dense = torch.stack([matrix.transposed(u[:, None])[:, 0] for u in torch.eye(side).double()])
        values = torch.linalg.eigvalsh(dense @ dense.T)
        assert low <= values[0] ** 2 <= values[-1] ** 2 <= high


@pytest.mark.parametrize("degradation", ["given", "bicubic"])
def test_equals_the_closed_form(degradation):
    degraded = Bicubic(2)(photograph(64, torch.float64), RNG)
    solver = catalog.build_solver(
        "consistent", restorer="lanczos-x2", degradation=degradation, tolerance=1e-5
    ).model
    condition = Condition(scale=2, operators=(Bicubic(2),))
    before = catalog.build("lanczos-x2")(degraded.float()).double()
    expected = Bicubic(2).prox(before, degraded, 1e-12)
    torch.testing.assert_close(solver(degraded, condition), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", ["srgan-x4", "srvgg-x4", "srvgg-x2"])
def test_residual_falls_and_the_image_does_not_suffer(name):
    restorer, consistent = catalog.build(name), catalog.build(f"{name}-consistent")
    clean, shrink = photograph(), Bicubic(restorer.card.scale)
    degraded = shrink(clean, RNG)
    before, after = restorer(degraded), consistent(degraded)

    def residual(image):
        return float((shrink(image, RNG) - degraded).square().mean().sqrt()) * 255

    assert residual(after) <= min(0.05, residual(before) / 20)
    assert psnr(after, clean) >= psnr(before, clean)


def test_what_is_given_counts_and_without_it_bicubic():
    clean, blur = photograph(), GaussianBlur(1.2)
    degraded = Bicubic(2)(blur(clean, RNG), RNG)
    solver = catalog.build_solver("consistent", restorer="srvgg-x2")
    told = solver(degraded, condition=Condition(scale=2, operators=(blur, Bicubic(2))))
    assert (Bicubic(2)(blur(told, RNG), RNG) - degraded).square().mean().sqrt() < 0.05 / 255
    untold = solver(degraded, condition=Condition(scale=2))
    assert (Bicubic(2)(untold, RNG) - degraded).square().mean().sqrt() < 0.05 / 255
    assert not torch.allclose(told, untold, atol=1e-3)


def test_hidden_pixels_are_left_to_the_restorer_and_known_ones_are_kept():
    clean = photograph(64)
    known = Mask(share=0.3).mask(64, 64, RNG.manual_seed(1))[None]
    degraded = torch.where(known.bool(), clean, math.nan).nan_to_num(7.0)
    solver = catalog.build_solver("consistent", restorer="median").model
    restored = solver(degraded, Condition(mask_B1HW=known))
    hidden = ~known.bool().expand_as(clean)
    torch.testing.assert_close(restored[~hidden], clean[~hidden], rtol=0, atol=1e-6)
    torch.testing.assert_close(restored[hidden], catalog.build("median").model(degraded, Condition())[hidden])


def test_images_of_a_batch_do_not_depend_on_one_another():
    batch = torch.cat([photograph(32), photograph(32).flip(-1) * 0.1])
    solver = catalog.build_solver("consistent", restorer="bicubic-x2")
    condition = Condition(scale=2, operators=(Bicubic(2),))
    together = solver(batch, condition=condition)
    torch.testing.assert_close(together[1:], solver(batch[1:], condition=condition), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"restorer": "plug-and-play"}, "plug-and-play inverts operators, which fits the data as it is"),
        ({"restorer": "median", "degradation": "bicubic"}, "enlarge by a fixed scale, and median does not"),
        ({"restorer": "bicubic", "degradation": "area"}, 'use degradation = "given"'),
        (
            {"restorer": "srvgg-x2", "degradation": "box"},
            "must be one of given, bicubic, area, bilinear, lanczos",
        ),
        ({"restorer": "srvgg-x2", "tolerance": 0}, "tolerance must be a number from 1e-05 to 1, got 0"),
    ],
)
def test_errors_name_the_thing_and_the_cure(parameters, message):
    with pytest.raises(ValueError) as refused:  # noqa: PT011  # the text is what is tested
        catalog.build_solver("consistent", **parameters)
    assert message in str(refused.value)


def test_without_operators_there_is_nothing_to_be_consistent_with():
    with pytest.raises(RestorerError, match="consistent needs the operators") as refused:
        catalog.build_solver("consistent", restorer="median")(photograph(32))
    assert refused.value.reason == "CONDITION_MISSING"
