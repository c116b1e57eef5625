"""BSRGAN's shuffled chain against its rules and probabilities."""

from __future__ import annotations

import math

import pytest

from models.operators.blur import AnisotropicGaussianBlur, GaussianBlur
from models.operators.bsrgan import Bsrgan
from models.operators.compression import Jpeg
from models.operators.noise import CorrelatedNoise, GaussianNoise
from models.operators.resample import Mtf
from models.operators.resize import Resize
from tests.operator_contract import random_image, seeded

COUNT = 1200
BLURS = (AnisotropicGaussianBlur, GaussianBlur)
REDUCTIONS = (Resize, Mtf)


@pytest.fixture(scope="module")
def chains():
    rng = seeded()
    return [Bsrgan(4).chain(128, 160, rng) for _ in range(COUNT)]


def assert_share(happened: list[bool], probability: float) -> None:
    """Within four standard errors."""
    error = math.sqrt(probability * (1 - probability) / len(happened))
    assert sum(happened) / len(happened) == pytest.approx(probability, abs=4 * error)


def of(chain, kinds) -> list:
    return [each for each in chain if isinstance(each, kinds)]


def halved(chain) -> bool:
    return len(of(chain, REDUCTIONS)) == 3


def test_every_chain_has_its_parts(chains):
    for chain in chains:
        assert len(of(chain, BLURS)) == 2
        assert len(of(chain, (GaussianNoise, CorrelatedNoise))) == 1
        assert isinstance(chain[-1], Jpeg)
        last = of(chain, REDUCTIONS)[-1]
        assert (last.height, last.width) == (32, 40)
        assert len(of(chain, REDUCTIONS)) in (2, 3)
        assert not halved(chain) or (chain[0].height, chain[0].width) == (64, 80)
        for blur in of(chain, BLURS):
            assert 7 <= blur.size <= 25


def test_probabilities(chains):
    assert_share([halved(chain) for chain in chains], 0.25)
    assert_share([len(of(chain, Jpeg)) == 2 for chain in chains], 0.9)
    assert_share([bool(of(chain, Mtf)) for chain in chains], 0.25)
    assert_share([isinstance(blur, GaussianBlur) for chain in chains for blur in of(chain, BLURS)], 0.5)
    noises = [of(chain, (GaussianNoise, CorrelatedNoise))[0] for chain in chains]
    assert_share([isinstance(noise, CorrelatedNoise) for noise in noises], 0.2)
    assert_share([isinstance(noise, GaussianNoise) and noise.grey for noise in noises], 0.4)


def test_the_order_is_shuffled(chains):
    """Of the six steps each is as likely to be first, save that the two reductions keep their order."""
    whole = [chain for chain in chains if not halved(chain) and len(of(chain, Jpeg)) == 2]
    assert_share([isinstance(chain[0], BLURS) for chain in whole], 2 / 6)
    assert_share([isinstance(chain[0], REDUCTIONS) for chain in whole], 2 / 6)
    assert_share([isinstance(chain[0], Jpeg) for chain in whole], 1 / 6)


def test_results_are_8_bit_and_small_images_work():
    for seed in range(12):
        degraded_BCHW = Bsrgan(4)(random_image(1, 3, 16, 12), seeded(seed))
        assert degraded_BCHW.shape == (1, 3, 4, 3)
        levels = degraded_BCHW * 255
        assert (levels - levels.round()).abs().max() < 1e-4
