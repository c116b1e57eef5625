"""What an exported network of frames computes, beside the network in PyTorch; the export itself is long."""

import pytest
import torch

from models import catalog
from models.edge.frames.enlarging import enlarged
from models.edge.frames.graphs import as_graph
from models.edge.frames.probe import scene_of_frames
from models.edge.frames.registration import registered
from models.edge.onnx_export import TOLERANCE
from models.operators.resample import imresize
from models.stacks.registration import register
from tests.restorer_contract import frames_for, scene

SIZES = [(37, 50), (64, 64), (8, 9), (61, 33)]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_registration_without_complex_numbers_finds_the_same_places(height, width):
    image, frames = scene(3, height, width, batch=2), frames_for(3, 2, height, width)
    frames = torch.cat([frames, torch.full_like(frames[:, :1], 0.4)], 1)
    found = register(image, frames)
    shift_BT2, usable_BT = registered(image, frames)
    torch.testing.assert_close(shift_BT2, found.shift_BT2, rtol=0, atol=1e-9)
    assert torch.equal(usable_BT, found.usable)
    assert not usable_BT[:, 2:].any(), "black and grey frames are none"
    if min(height, width) > 30:
        assert usable_BT[:, :2].all()


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("scale", [1, 2, 3])
def test_enlarging_by_matrices_is_imresize(height, width, scale):
    image = scene(3, height, width)
    expected = imresize(image, scale * height, scale * width)
    torch.testing.assert_close(enlarged(image, scale), expected, rtol=0, atol=1e-6)


@pytest.fixture(scope="module")
def fusion():
    """The shipped network and its twin."""
    network = catalog.build("frame-fusion-x3").model.network
    return network, as_graph(network)


@pytest.mark.parametrize("frames", [[0, 1, 2, 3], [0], [3], [2, 0]], ids=["all", "one", "black", "two"])
@pytest.mark.parametrize(("height", "width"), [(37, 50), (48, 48)])
def test_the_twin_restores_as_the_network_whatever_the_frames(fusion, frames, height, width):
    network, twin = fusion
    image, stack = scene_of_frames(3, 2, height, width, torch.Generator().manual_seed(7))
    with torch.inference_mode():
        expected = network(image, stack[:, frames])
        torch.testing.assert_close(twin(image, stack[:, frames]), expected, rtol=0, atol=TOLERANCE / 2)


def test_no_order_of_the_frames_changes_a_bit_of_the_twin(fusion):
    _, twin = fusion
    image, stack = scene_of_frames(3, 2, 30, 41, torch.Generator().manual_seed(8))
    with torch.inference_mode():
        restored = twin(image, stack)
        for order in ([3, 1, 0, 2], [2, 3, 1, 0]):
            assert torch.equal(twin(image, stack[:, order]), restored)
        assert not torch.equal(twin(image, stack[:, :2]), restored), "frames matter"
