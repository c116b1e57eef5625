"""Computed tomography: parallel rays against scikit-image, fans against line integrals by SciPy."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates
from skimage.data import camera
from skimage.transform import iradon, radon

from models import catalog
from models.contract import Condition
from models.operators.radon import (
    back_project,
    back_project_transposed,
    filter_views,
    filter_views_transposed,
    project,
    project_transposed,
)
from models.operators.scanner import FanScanner, ParallelScanner
from models.operators.tomography import Tomography, TomographyNoise
from tests.operator_contract import random_image, seeded

SIDE = 65  # odd: scikit-image turns about pixel n // 2


@pytest.fixture(scope="module")
def disc():
    """A crop of a photograph within a circle, 65 x 65."""
    image = camera()[60 : 60 + SIDE, 180 : 180 + SIDE].astype(np.float64) / 255
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    return image * (x**2 + y**2 <= (SIDE // 2 - 1) ** 2)


def tensor(image, dtype=torch.float64):
    return torch.from_numpy(image)[None, None].to(dtype)


class TestParallel:
    views = 24
    scanner = ParallelScanner(SIDE, SIDE, 24)
    degrees = np.arange(24) * 180 / 24

    @pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 2e-4)])
    def test_projections_are_those_of_scikit_image(self, disc, dtype, tolerance):
        expected = radon(disc, self.degrees, circle=True)
        found = project(tensor(disc, dtype), self.scanner)[0, 0].numpy().T
        edge = (self.scanner.elements - SIDE) // 2
        assert expected.max() > 10
        np.testing.assert_allclose(found[edge:-edge], expected, atol=tolerance)
        assert not found[:edge].any()

    def test_back_projection_is_that_of_scikit_image(self, disc):
        measured = project(tensor(disc), self.scanner)
        expected = iradon(measured[0, 0].numpy().T, self.degrees, output_size=SIDE, circle=True)
        filtered = filter_views(measured, self.scanner)
        found = back_project(filtered, self.scanner, SIDE, SIDE)[0, 0].numpy()
        y, x = np.mgrid[:SIDE, :SIDE] - SIDE // 2
        inside = x**2 + y**2 <= (SIDE // 2) ** 2
        np.testing.assert_allclose(found[inside], expected[inside], atol=1e-9)


class TestFan:
    def test_projections_are_line_integrals(self):
        image = random_image(1, 1, 21, 34, dtype=torch.float64)
        scanner = FanScanner(21, 34, 7, 1.6)
        measured = project(image, scanner)[0, 0].numpy()
        radius = 1.6 * math.hypot(21, 34) / 2
        for view in range(7):
            turn = 2 * math.pi * view / 7
            source = -radius * np.array([math.sin(turn), math.cos(turn)])  # x, y
            for element in range(scanner.elements):
                angle = turn + (element - scanner.elements // 2) / radius
                direction = np.array([math.sin(angle), math.cos(angle)])
                nearest = -source @ direction
                along = nearest + np.arange(-25, 26)
                x, y = source[:, None] + direction[:, None] * along
                values = map_coordinates(
                    image[0, 0].numpy(), [y + 10, x + 16.5], order=1, mode="grid-constant", cval=0
                )
                assert measured[view, element] == pytest.approx(values.sum(), abs=1e-9)


@pytest.mark.parametrize("scanner", [ParallelScanner(19, 26, 7), FanScanner(19, 26, 7, 2.0)])
def test_parts_have_their_transposes(scanner):
    x = random_image(2, 3, 19, 26, dtype=torch.float64)
    y = random_image(2, 3, 7, scanner.elements, dtype=torch.float64, seed=5)
    pairs = [
        (project(x, scanner), y, x, project_transposed(y, scanner, 19, 26)),
        (back_project(y, scanner, 19, 26), x, y, back_project_transposed(x, scanner)),
        (filter_views(y, scanner), y.flip(3), y, filter_views_transposed(y.flip(3), scanner)),
    ]
    for forward, right, left, backward in pairs:
        assert float((forward * right).sum()) == pytest.approx(float((left * backward).sum()), rel=1e-12)


@pytest.mark.parametrize("geometry", ["parallel", "fan"])
def test_many_views_give_the_image_back_and_few_give_streaks(disc, geometry):
    errors = []
    for views in (10, 40, 240):
        found = Tomography(views, geometry)(tensor(disc), seeded())[0, 0].numpy()
        errors.append(np.sqrt(np.mean((found - disc) ** 2)))
    assert errors[0] > 2 * errors[1] > 2 * errors[2]
    smooth = np.exp(-((np.mgrid[:SIDE, :SIDE] - SIDE // 2) ** 2).sum(0) / 200)
    found = Tomography(240, geometry)(tensor(smooth), seeded())[0, 0].numpy()
    np.testing.assert_allclose(found, smooth, atol=0.01)


def test_noise_is_that_of_the_photons(disc):
    image = tensor(disc)
    deviations = []
    for photons in (1e4, 4e4):
        noisy = TomographyNoise(photons, views=90)(image.expand(3, -1, -1, -1), seeded())
        deviations.append(float((noisy - image).std()))
    assert deviations[0] / deviations[1] == pytest.approx(2, rel=0.15)


# How much nearer than the back-projected image, in dB: half of what was measured.
SOLVERS = [
    ("tikhonov", "parallel", 3.0),
    ("total-variation-deblurring", "fan", 2.8),
    ("plug-and-play", "parallel", 3.2),
]


@pytest.mark.parametrize(("name", "geometry", "gain"), SOLVERS)
def test_solvers_restore_it(disc, name, geometry, gain):
    image = tensor(disc[16:49, 16:49], torch.float32).expand(1, 3, -1, -1)
    operator = Tomography(10, geometry)
    degraded = operator(image, seeded())
    condition = Condition(noise_level_B=torch.tensor([0.01]), operators=[operator])
    restored = catalog.build(name)(degraded, condition=condition)
    errors = [float((each - image).square().mean()) for each in (degraded, restored)]
    assert 10 * np.log10(errors[0] / errors[1]) > gain, errors
