"""The error square by square: against its parts, and against the truth where single squares differ."""

import pytest
import torch

from models.local_risk import ESTIMATED, KNOWN, Shrinkage, local_risk
from models.risk import RiskMaps

SIGMA = 0.2


def maps(bias_BCHW, spread=0.001, level=SIGMA, seed=0):
    """Of an image whose restored one is off by a bias beside what the slopes say; chance from the noise."""
    rng = torch.Generator().manual_seed(seed)
    shape = bias_BCHW.shape
    noise = SIGMA * torch.randn(shape, generator=rng, dtype=torch.float64)
    excess = noise.square() - level**2 + bias_BCHW - spread
    return RiskMaps(excess, torch.full_like(excess, spread), torch.full_like(excess, level**2))


def test_flat_squares_count_by_their_slopes_and_those_that_stand_out_by_steins_formula():
    bias = torch.zeros(1, 1, 256, 256, dtype=torch.float64)
    bias[..., :96, :96] = 0.05  # texture that was lost: more than the noise's energy there is by chance
    found = local_risk(maps(bias), None, KNOWN)
    true = 0.001 + float(bias.mean())
    assert float(found.error_B) == pytest.approx(true, rel=0.12)
    whole = maps(bias).mean()
    assert abs(float(found.error_B) - true) < abs(float(whole.unbiased) - true)
    assert float(whole.posterior) < 0.3 * true
    chance = SIGMA**2 * (2 / bias.numel()) ** 0.5
    assert float(found.chance_B) < 0.7 * chance


def test_chance_is_how_far_estimates_of_other_noise_lie_apart():
    bias = torch.full((200, 1, 32, 32), 0.08, dtype=torch.float64)
    found = local_risk(maps(bias), None, KNOWN)
    assert float(found.error_B.std()) == pytest.approx(float(found.chance_B.mean()), rel=0.2)
    assert float(found.chance_B.mean()) == pytest.approx(SIGMA**2 * (2 / 32**2) ** 0.5, rel=0.1)


def test_a_wrong_level_moves_it_less_than_steins_estimate():
    bias = torch.zeros(1, 1, 128, 128, dtype=torch.float64)
    wrong, right = maps(bias, level=1.02 * SIGMA), maps(bias)
    moved = abs(
        float(local_risk(wrong, None, ESTIMATED).error_B - local_risk(right, None, ESTIMATED).error_B)
    )
    assert moved < 0.2 * abs(float(wrong.mean().unbiased - right.mean().unbiased))


def test_pixels_without_data_count_nowhere_and_bands_count_together():
    bias = torch.rand(2, 3, 37, 41, dtype=torch.float64)
    valid = torch.ones(2, 1, 37, 41, dtype=torch.bool)
    valid[0, :, 20:] = False
    valid[1] = False
    given = maps(bias)
    hidden = RiskMaps(*(torch.where(valid, each, 9.0) for each in vars(given).values() if each is not None))
    for shrinkage in (KNOWN, ESTIMATED):
        found, other = local_risk(given, valid, shrinkage), local_risk(hidden, valid, shrinkage)
        assert torch.equal(found.error_B[:1], other.error_B[:1])
        assert found.error_B[1:].isnan().all()
    # Without doubt, and with squares of the whole image, it is Stein's formula.
    alone = local_risk(given, None, Shrinkage(side=64, doubt=0.0))
    torch.testing.assert_close(alone.error_B, given.mean().unbiased)


def test_an_image_without_noise_has_no_chance():
    nothing = torch.zeros(1, 1, 20, 20, dtype=torch.float64)
    found = local_risk(RiskMaps(nothing + 0.01, nothing, nothing), None, KNOWN)
    assert (float(found.error_B), float(found.chance_B)) == (pytest.approx(0.01), 0.0)
