"""The second-order chain against the probabilities and ranges of its option file."""

from __future__ import annotations

import math

import pytest
import torch

from models.operators.blur import (
    AnisotropicGaussianBlur,
    GaussianBlur,
    GeneralisedGaussianBlur,
    PlateauBlur,
    Sinc,
)
from models.operators.compression import Jpeg
from models.operators.noise import GaussianNoise, PoissonNoise
from models.operators.real_esrgan import RealEsrgan
from models.operators.resize import Resize
from tests.operator_contract import random_image, seeded

BLURS = (AnisotropicGaussianBlur, GaussianBlur, GeneralisedGaussianBlur, PlateauBlur, Sinc)
NOISES = (GaussianNoise, PoissonNoise)
COUNT = 1500


@pytest.fixture(scope="module")
def chains():
    rng = seeded()
    return [RealEsrgan(4).chain(256, 320, rng) for _ in range(COUNT)]


def assert_share(happened: list[bool], probability: float) -> None:
    """Within four standard errors."""
    error = math.sqrt(probability * (1 - probability) / len(happened))
    assert sum(happened) / len(happened) == pytest.approx(probability, abs=4 * error)


def split(chain):
    """First order up to its JPEG, the second order up to its noise, the end."""
    middle = next(index for index, each in enumerate(chain) if isinstance(each, Jpeg))
    noise = max(index for index, each in enumerate(chain) if isinstance(each, NOISES))
    return chain[:middle], chain[middle + 1 : noise + 1], chain[noise + 1 :]


def test_order_of_the_steps(chains):
    for chain in chains:
        first, second, end = split(chain)
        assert [type(each) in BLURS for each in first] == [True, False, False]
        assert isinstance(first[1], Resize)
        assert isinstance(first[2], NOISES)
        assert isinstance(second[-2], Resize)
        assert isinstance(second[-1], NOISES)
        assert sorted(type(each).__name__ for each in end if not isinstance(each, Sinc)) == ["Jpeg", "Resize"]
        resize = next(each for each in end if isinstance(each, Resize))
        assert (resize.height, resize.width) == (64, 80)


def test_probabilities(chains):
    parts = [split(chain) for chain in chains]
    assert_share([isinstance(second[0], BLURS) for _, second, _ in parts], 0.8)
    assert_share([isinstance(end[-1], Jpeg) for _, _, end in parts], 0.5)
    assert_share([any(isinstance(each, Sinc) for each in end) for _, _, end in parts], 0.8)
    blurs = [first[0] for first, _, _ in parts]
    assert_share([isinstance(blur, Sinc) for blur in blurs], 0.1)
    shaped = [blur for blur in blurs if not isinstance(blur, Sinc)]
    assert_share([isinstance(blur, GaussianBlur) for blur in shaped], 0.45)
    assert_share([isinstance(blur, AnisotropicGaussianBlur) for blur in shaped], 0.25)
    for family in (GeneralisedGaussianBlur, PlateauBlur):
        assert_share([isinstance(blur, family) and blur.sigma_x == blur.sigma_y for blur in shaped], 0.12)
        assert_share([isinstance(blur, family) and blur.sigma_x != blur.sigma_y for blur in shaped], 0.03)
    for order in (0, 1):
        noises = [part[order][-1] for part in parts]
        assert_share([isinstance(noise, GaussianNoise) for noise in noises], 0.5)
        assert_share([noise.grey for noise in noises], 0.4)
    heights = [first[1].height for first, _, _ in parts]
    assert_share([height > 256 for height in heights], 0.2)
    assert_share([height == 256 for height in heights], 0.1)


def test_ranges(chains):
    for first, second, end in map(split, chains):
        assert 0.15 * 256 - 1 <= first[1].height <= 1.5 * 256
        assert 0.3 * 64 - 1 <= second[-2].height <= 1.2 * 64
        for blur in (each for part in (first, second, end) for each in part if isinstance(each, BLURS)):
            assert blur.size % 2 == 1
            assert 7 <= blur.size <= 21
        for noise, sigma, scale in ((first[-1], 30, 3.0), (second[-1], 25, 2.5)):
            if isinstance(noise, GaussianNoise):
                assert 1 <= noise.sigma <= sigma
            else:
                assert 0.05 <= math.sqrt(256 / noise.photons) <= scale


def test_the_chain_is_what_is_applied_and_the_result_is_8_bit():
    image_BCHW = random_image(1, 3, 96, 96)
    degraded_BCHW = RealEsrgan(2)(image_BCHW, seeded())
    rng, expected_BCHW = seeded(), image_BCHW
    for operator in RealEsrgan(2).chain(96, 96, rng):
        expected_BCHW = operator(expected_BCHW, rng).clamp(0, 1)
    assert torch.equal(degraded_BCHW, (expected_BCHW * 255).round() / 255)
    assert degraded_BCHW.shape == (1, 3, 48, 48)


def test_small_images_get_small_kernels():
    for seed in range(20):
        assert RealEsrgan(4)(random_image(1, 3, 16, 12), seeded(seed)).shape == (1, 3, 4, 3)
