"""Frames of one scene: registered, aligned, and restored together."""

import pytest
import torch

from models import catalog
from models.contract import Condition, RestorerError
from models.operators.blur import GaussianBlur
from models.operators.burst import Burst
from models.operators.resample import Area
from models.stacks.registration import register
from models.stacks.shifting import shifted
from tests.restorer_contract import scene


def seeded(seed=3):
    return torch.Generator().manual_seed(seed)


def noisy(image, sigma, seed=5):
    return image + sigma / 255 * torch.randn(image.shape, generator=seeded(seed))


def psnr(image, truth, border=6):
    missed = (image - truth)[..., border:-border, border:-border]
    return float(-10 * torch.log10(missed.square().mean()))


@pytest.fixture(scope="module")
def stack():
    """Truth, the first of nine frames, and what is known: a third of the size, moved, noisy, one black."""
    truth = scene(1, 96, 96)
    frames = Burst(frames=9, motion=6.0, lost=1).others(truth, seeded())
    blur, area = GaussianBlur(sigma=0.8), Area(scale=3)
    seen = [
        noisy(area(blur(each[None], seeded()), seeded()), 4, i) for i, each in enumerate([truth[0], *frames])
    ]
    told = Condition(
        scale=3,
        noise_level_B=torch.tensor([4 / 255]),
        frames_BTCHW=torch.cat(seen[1:])[None],
        operators=(blur, area),
    )
    return truth, seen[0], told


def test_registration_finds_parts_of_a_pixel_and_trusts_no_black_frame():
    image = scene(3, 72, 90)
    shifts = torch.tensor([[1.25, -3.5], [-0.4, 0.13], [5.0, 2.0]])
    frames = noisy(shifted(image.expand(3, -1, -1, -1), shifts), 4)
    found = register(image, torch.cat([frames, torch.zeros_like(image)])[None])
    torch.testing.assert_close(found.shift_BT2[0, :3], shifts.double(), rtol=0, atol=0.06)
    assert found.confidence_BT[0, 3] == 0
    assert register(image, torch.full_like(image, 0.3)[None]).confidence_BT == 0
    assert found.usable.tolist() == [[True, True, True, False]]
    other = scene(3, 72, 90).flip(-1).roll(31, -2)
    assert not register(image, other[None]).usable.any()


def test_nine_frames_enlarge_better_than_one(stack):
    truth, image, told = stack
    single = psnr(catalog.build("bicubic-x3")(image), truth)
    added = psnr(catalog.build("shift-and-add-x3")(image, condition=told), truth)
    solved = psnr(catalog.build("multi-frame-x3")(image, condition=told), truth)
    assert added > single + 0.3
    assert solved > single + 2.5


def test_a_black_frame_costs_nothing(stack):
    truth, image, told = stack
    without = Condition(
        scale=3,
        noise_level_B=told.noise_level_B,
        operators=told.operators,
        frames_BTCHW=told.frames_BTCHW[:, :-1],
    )
    restorer = catalog.build("multi-frame-x3")
    cost = psnr(restorer(image, condition=without), truth) - psnr(restorer(image, condition=told), truth)
    assert abs(cost) < 0.01


def test_noise_and_clouds_go_whatever_the_order_of_the_frames():
    truth = scene(3, 96, 80)
    frames = noisy(Burst(frames=9, motion=4.0, clouded=2, lost=1).others(truth, seeded()), 25)
    image, told = noisy(truth, 25, 8), Condition(frames_BTCHW=frames[None])
    for name, gain in (("temporal-median", 6.0), ("temporal-pca", 6.0), ("shift-and-add", 8.0)):
        assert psnr(catalog.build(name)(image, condition=told), truth) > psnr(image, truth) + gain, name
    median, order = catalog.build("temporal-median"), torch.tensor([3, 0, 7, 1, 2, 6, 5, 4])
    turned = Condition(frames_BTCHW=frames[order][None])
    assert torch.equal(median(image, condition=told), median(image, condition=turned))


def test_a_burst_draws_frames_of_its_own():
    image = scene(1, 40, 40)
    burst = Burst(frames=4, motion=3.0, lost=1)
    assert torch.equal(burst(image, seeded()), image)
    others = burst.others(image, seeded())
    assert torch.equal(others, burst.others(image, seeded()))
    assert not torch.equal(others, burst.others(image, seeded(4)))
    assert others.shape == (3, 1, 40, 40)
    assert not others[2].any()
    assert others[0].any()


def test_frames_that_do_not_fit_the_image_are_refused():
    image = scene(1, 24, 24)
    with pytest.raises(RestorerError, match="frames of a scene") as refusal:
        catalog.build("temporal-median")(image, condition=Condition(frames_BTCHW=scene(1, 24, 20)[None]))
    assert refusal.value.reason == "FRAME_UNFIT"
    poisoned = Condition(frames_BTCHW=torch.full((1, 2, 1, 24, 24), torch.nan))
    with pytest.raises(RestorerError, match="NaN"):
        catalog.build("temporal-median")(image, condition=poisoned)
