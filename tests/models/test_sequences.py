"""Frames in order and in none: flow, clips, and the networks that take several."""

from dataclasses import replace

import pytest
import torch

from models import catalog
from models.contract import Condition, RestorerError
from models.networks import build_network
from models.operators.burst import Burst
from models.operators.clip import Clip
from models.operators.resample import Area
from models.stacks.flow import flow_between, warped
from models.stacks.shifting import shifted
from pipeline.degradation.batched import degrade_batch, host_draws
from pipeline.degradation.degradation import build_degradation
from pipeline.jobs.specs import DegradationSpec
from tests.restorer_contract import scene


def seeded(seed=3):
    return torch.Generator().manual_seed(seed)


def psnr(image, truth, border=6):
    return float(-10 * torch.log10((image - truth)[..., border:-border, border:-border].square().mean()))


def test_flow_finds_what_moves_on_its_own():
    image = scene(3, 64, 72)
    cover = torch.zeros(1, 1, 64, 72)
    cover[..., 18:46, 20:52] = 1
    other = torch.where(cover > 0, shifted(image, torch.tensor([[1.0, 1.5]])), image)
    flow, found = flow_between(image, other)
    assert found.all()
    torch.testing.assert_close(
        flow[0, :, 26:38, 30:42].mean((1, 2)), torch.tensor([1.0, 1.5]), atol=0.4, rtol=0
    )
    assert flow[0, :, 2:10, 2:12].abs().mean() < 0.3
    assert psnr(warped(other, flow), image) > psnr(other, image) + 3
    still, found = flow_between(image, torch.zeros_like(image))
    assert not found.any()
    assert not still.any()


def test_a_clip_goes_through_the_image_in_order():
    image = scene(1, 48, 48)
    clip = Clip(frames=5, speed=3.0, exposure=0.0)
    frames = clip.others(image, seeded())
    assert (clip.place, len(frames)) == (2, 4)
    assert not torch.equal(frames[0], frames[3])
    assert psnr(clip(image, seeded()), image) > 60  # without exposure the middle frame is the image itself
    blurred = Clip(frames=5, speed=3.0, exposure=0.9)
    assert psnr(blurred(image, seeded()), image) < 40
    assert torch.equal(blurred.others(image, seeded()), blurred.others(image, seeded()))
    black = Clip(frames=5, speed=3.0, lost=1).others(image, seeded())
    assert black[:3].abs().amax((1, 2, 3)).gt(0).all()
    assert not black[3].any()
    assert Clip(frames=1).others(image, seeded()).shape == (0, 1, 48, 48)


@pytest.fixture(scope="module")
def burst():
    """Truth, the first of seven frames, and the others: half the size, moved; the last is black."""
    truth = scene(3, 96, 96)
    others = Burst(frames=7, motion=4.0, lost=1).others(truth, seeded())
    area = Area(scale=2)
    frames = torch.cat([area(each[None], seeded()) for each in others])[None]
    return truth, area(truth, seeded()), frames


def moved(name, **arguments):
    """The network away from its first weights."""
    torch.manual_seed(1)
    network = build_network(name, arguments).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
    return network


def test_fusion_starts_better_than_one_frame_and_no_order_changes_a_bit(burst):
    truth, image, frames = burst
    with torch.no_grad():
        start = build_network("frame_fusion", {"scale": 2}).eval()(image, frames)
        assert psnr(start, truth) > psnr(torch.nn.functional.interpolate(image, scale_factor=2), truth) + 2
        network = moved("frame_fusion", features=8, layers=2, scale=2)
        restored = network(image, frames)
        assert torch.equal(restored, network(image, frames[:, [4, 2, 5, 0, 1, 3]]))
        without_black = network(image, frames[:, :-1])
    torch.testing.assert_close(restored, without_black, rtol=0, atol=1e-5)


def test_training_gets_the_frames_of_every_sample():
    operators = ({"op": "clip", "frames": 3, "speed": [1.0, 2.0]}, {"op": "gaussian_noise", "sigma": 5})
    made = build_degradation(DegradationSpec(name="clips", operators=operators))
    images = torch.cat([scene(1, 24, 24), scene(1, 24, 24).flip(-1)])
    degraded, told = degrade_batch([made], images, [4, 9], host_draws)
    alone = made(images[1:], 9)
    assert torch.equal(degraded[1:], alone.image_BCHW)
    assert torch.equal(told.frames_BTCHW[1:], alone.condition.frames_BTCHW)
    assert (told.place, told.noise_level_B.tolist()) == (1, pytest.approx([5 / 255] * 2))


def test_frequencies_come_from_the_frames_that_kept_them():
    truth = scene(3, 96, 96)
    clip = Clip(frames=5, speed=3.0)
    image = clip(truth, seeded(6))
    told = Condition(frames_BTCHW=clip.others(truth, seeded(6))[None], place=2)
    restorer = catalog.build("fourier-accumulation")
    restored = restorer(image, condition=told)
    assert psnr(restored, truth) > psnr(image, truth) + 0.5
    black = replace(told, frames_BTCHW=torch.zeros_like(told.frames_BTCHW))
    torch.testing.assert_close(restorer(image, condition=black), image, rtol=0, atol=1e-5)
    assert not restorer(torch.zeros_like(image), condition=told).any()


def test_channels_that_are_frames_are_restored_by_those_around_them():
    truth = scene(1, 80, 80)
    moves = torch.tensor([[0.0, 1.5 * t] for t in range(4)])
    frames = shifted(truth.expand(4, -1, -1, -1), moves)[:, 0][None]
    noisy = frames + 0.08 * torch.randn(frames.shape, generator=seeded())
    restorer = catalog.build_solver("frame_by_frame", restorer="temporal-median", around=3)
    restored = restorer(noisy)
    assert restored.shape == frames.shape
    for place in range(4):
        assert (
            psnr(restored[:, place], frames[:, place], 10) > psnr(noisy[:, place], frames[:, place], 10) + 2
        )
    with pytest.raises(RestorerError, match="one channel alone") as refusal:
        restorer(noisy[:, :1])
    assert refusal.value.reason == "FRAMES_MISSING"


def test_the_recurrent_restorer_looks_at_frames_before_and_after_and_in_their_order(burst):
    _, image, frames = burst
    network, place = moved("basicvsr", features=8, blocks=1), torch.tensor([2])
    with torch.no_grad():
        restored = network(image, frames[:, :4], place)
        for changed in range(4):
            other = frames[:, :4].clone()
            other[:, changed] += 0.05 * torch.rand_like(other[:, changed])
            assert not torch.equal(network(image, other, place), restored), changed
        assert not torch.equal(network(image, frames[:, [1, 0, 2, 3]], place), restored)
        # A frame that shows nothing of the scene has no say, whatever it holds.
        black, grey = frames[:, [0, 5, 1, 2]], frames[:, [0, 5, 1, 2]]
        grey[:, 1] = 0.3
        assert torch.equal(network(image, black, place), network(image, grey, place))
        alone = moved("basicvsr", features=8, blocks=1, neighbours=False)
        assert alone.conditions == ()
        assert torch.equal(alone(image), network(image, frames[:, :0], torch.tensor([0])))
