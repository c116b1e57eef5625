"""Undersampled k-space: the lines of fastMRI, and the image by NumPy's centred transform."""

import numpy as np
import pytest
import torch
from skimage.data import camera

from models import catalog
from models.contract import Condition, RestorerError
from models.operators.kspace import (
    FixedKSpaceUndersampling,
    KSpaceUndersampling,
    birdcage,
    sensitivity_maps,
)
from tests.operator_contract import check_operator, seeded


@pytest.fixture(scope="module")
def scene():
    """1 x 1 x 96 x 81: sides are even and odd."""
    return torch.from_numpy(camera()[60:156, 180:261].astype(np.float64) / 255)[None, None]


def centred(transform, image):
    return np.fft.fftshift(transform(np.fft.ifftshift(image, axes=(-2, -1)), norm="ortho"), axes=(-2, -1))


@pytest.mark.parametrize("pattern", ["random", "equispaced"])
@pytest.mark.parametrize(("acceleration", "centre"), [(4, 0.08), (8, 0.04)])
def test_lines_are_those_of_fastmri(pattern, acceleration, centre):
    operator = KSpaceUndersampling(acceleration=acceleration, centre=centre, pattern=pattern)
    for count in (320, 368, 213):
        found = operator.lines(count, seeded(count)).numpy()
        low = round(count * centre)
        expected = np.zeros(count, bool)
        if pattern == "random":
            drawn = torch.rand(count, generator=seeded(count)).numpy()
            expected[drawn < (count / acceleration - low) / (count - low)] = True
        else:
            step = (acceleration * (low - count)) / (low * acceleration - count)
            first = int(torch.randint(0, round(step), (), generator=seeded(count)))
            expected[np.around(np.arange(first, count - 1, step)).astype(int)] = True
        start = (count - low + 1) // 2
        expected[start : start + low] = True
        np.testing.assert_array_equal(found, expected)


def test_as_many_lines_are_measured_as_the_acceleration_says():
    for pattern in ("random", "equispaced"):
        operator = KSpaceUndersampling(pattern=pattern)
        share = np.mean([operator.lines(400, seeded(seed)).float().mean() for seed in range(60)])
        assert share == pytest.approx(0.25, abs=0.01), pattern


@pytest.mark.parametrize("encoding", ["rows", "columns"])
@pytest.mark.parametrize("coils", [0, 4])
def test_the_image_is_the_zero_filled_one(scene, encoding, coils):
    given = birdcage(coils, 8) if coils else ()
    operator = FixedKSpaceUndersampling(encoding=encoding, sensitivities=given, seed=5)
    image = scene[0, 0].numpy()
    lines = operator.lines(96 if encoding == "rows" else 81, seeded(5)).numpy()
    mask = lines[:, None] if encoding == "rows" else lines[None, :]
    maps = sensitivity_maps(given, 96, 81).numpy() if coils else np.ones((1, 1, 1))
    measured = centred(np.fft.fft2, maps * image) * mask
    expected = (np.conj(maps) * centred(np.fft.ifft2, measured)).sum(0).real
    found = operator(scene, seeded())[0, 0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-12)
    single = operator(scene.float(), seeded())[0, 0].numpy()
    np.testing.assert_allclose(single, expected, atol=1e-5)
    assert np.abs(found - image).max() > 0.1


def test_drawn_is_what_the_call_does_and_is_linear_with_an_adjoint(scene):
    for sensitivities in ((), birdcage(3, 4)):
        operator = KSpaceUndersampling(sensitivities=sensitivities)
        fixed = operator.drawn(seeded())
        assert torch.equal(fixed(scene, seeded(1)), operator(scene, seeded()))
        check_operator(fixed)


def test_maps_are_enlarged_and_normalised():
    given = birdcage(4, 5)
    maps = sensitivity_maps(given, 33, 17)
    torch.testing.assert_close(maps.abs().square().sum(0), torch.ones(33, 17, dtype=torch.float64))
    nearest = maps.abs().argmax(0)
    assert [int(nearest[place]) for place in ((16, 16), (32, 8), (16, 0), (0, 8))] == [0, 1, 2, 3]
    of_size = sensitivity_maps(given, 5, 5)
    grid = torch.view_as_complex(torch.tensor(given, dtype=torch.float64))
    torch.testing.assert_close(of_size / of_size[0], grid / grid[0])


def test_several_coils_without_gaps_give_the_image_back(scene):
    class Everything(FixedKSpaceUndersampling):
        def lines(self, count, rng):
            return torch.ones(count, dtype=torch.bool)

    everything = Everything(sensitivities=birdcage(6, 8))
    torch.testing.assert_close(everything(scene, seeded()), scene)


# How much nearer than the zero-filled image, in dB: half of what was measured.
SOLVERS = [
    ("tikhonov", 0, 1.3),
    ("total-variation-deblurring", 0, 2.5),
    ("plug-and-play", 4, 3.0),
    ("regularisation-by-denoising", 0, 1.0),
]


@pytest.mark.parametrize(("name", "coils", "gain"), SOLVERS)
def test_solvers_restore_it(name, coils, gain):
    image = torch.from_numpy(camera()[100:164, 200:264].astype(np.float32) / 255).expand(1, 3, -1, -1)
    noisy = image + 0.01 * torch.randn(image.shape, generator=seeded())
    operator = FixedKSpaceUndersampling(sensitivities=birdcage(coils, 8) if coils else (), seed=3)
    degraded = operator(noisy, seeded())
    condition = Condition(noise_level_B=torch.tensor([0.01]), operators=[operator])
    restored = catalog.build(name)(degraded, condition=condition)
    errors = [float((each - image).square().mean()) for each in (degraded, restored)]
    assert 10 * np.log10(errors[0] / errors[1]) > gain, errors


def test_what_inverts_blurs_only_says_so(scene):
    operator = FixedKSpaceUndersampling(seed=3)
    condition = Condition(noise_level_B=torch.tensor([0.01]), operators=[operator])
    with pytest.raises(RestorerError, match=r"no blur: they reach farther .* use a solver such as tikhonov"):
        catalog.build("wiener")(scene.float(), condition=condition)
