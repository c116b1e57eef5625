"""Restorers that go by a guide: better than without, by a sensor's pixels, another contrast, another band."""

import pytest
import skimage.data
import torch

from models import catalog
from models.contract import Condition, RestorerError
from models.guides.matching import enlarged, matched, seen_coarsely
from models.operators.kspace import KSpaceUndersampling
from models.operators.panchromatic import Panchromatic
from models.solvers.joint_total_variation import JointTotalVariation


def photograph(channels: int = 3, height: int = 64, width: int = 72):
    """Bands that lie on each other."""
    image = torch.from_numpy(skimage.data.astronaut()[60:, 160:][:height, :width]).permute(2, 0, 1)
    return image[None, :channels].float() / 255


def error(image, truth) -> float:
    return float((image - truth).square().mean())


@pytest.mark.parametrize(
    ("name", "most"),
    [("guided-filter", 0.7), ("gsa", 0.1), ("mtf-glp", 0.1), ("joint-total-variation", 0.6)],
)
def test_a_panchromatic_guide_sharpens(name, most):
    truth = photograph()
    guide = Panchromatic().guide(truth, torch.Generator())
    coarse = seen_coarsely(truth, 2)
    sharp = catalog.build(name)(coarse, condition=Condition(scale=2, guide_BPHW=guide))
    assert error(sharp, truth) < most * error(enlarged(coarse, 2), truth)


def test_bands_of_a_guide_are_told_apart():
    truth = photograph(2)
    guide = torch.cat([1 - truth[:, 1:] / 2, truth[:, :1] / 3], 1)
    found = matched(guide, seen_coarsely(truth, 4), 4)
    assert error(found, truth) < 1e-2 * float(truth.var())


def test_another_contrast_shows_where_edges_are():
    truth = photograph(1)
    other = (1 - truth) ** 2
    operator = KSpaceUndersampling(acceleration=4, centre=0.08)
    drawn = operator.drawn(torch.Generator().manual_seed(3))
    seen = drawn(truth, torch.Generator())
    told = Condition(operators=(drawn,), guide_BPHW=other)
    with_it, without = (JointTotalVariation(weight=2e-3, influence=each)(seen, told) for each in (2.0, 0.0))
    assert error(with_it, truth) < 0.9 * error(without, truth)


@pytest.mark.parametrize(("size", "reason"), [((32, 32), "GUIDE_UNFIT"), (None, "CONDITION_MISSING")])
def test_a_guide_of_another_size_is_refused(size, reason):
    guide = None if size is None else torch.rand(1, 1, *size)
    with pytest.raises(RestorerError) as refusal:
        catalog.build("gsa")(photograph(3, 24, 20), condition=Condition(scale=2, guide_BPHW=guide))
    assert refusal.value.reason == reason


def test_nothing_to_match_is_no_fault():
    flat = torch.full((1, 2, 8, 8), 0.4)
    guide = torch.full((1, 1, 16, 16), 0.7)
    for name in ("guided-filter", "gsa", "mtf-glp", "joint-total-variation"):
        sharp = catalog.build(name)(flat, condition=Condition(scale=2, guide_BPHW=guide))
        torch.testing.assert_close(sharp, torch.full((1, 2, 16, 16), 0.4), atol=1e-3, rtol=0)
