"""The shipped network of several frames as ONNX: any size, any number of frames, any order."""

import pytest
import torch

from models import catalog
from models.contract import Condition, RestorerError
from models.edge.frames.probe import scene_of_frames
from models.edge.onnx_export import TOLERANCE, export_onnx
from models.edge.onnx_model import build_from_onnx


@pytest.mark.long
def test_frames_of_any_number_size_and_order_are_fused_as_in_pytorch():
    restorer = catalog.build("frame-fusion-x3")
    content, difference = export_onnx(restorer)
    assert difference <= TOLERANCE
    exported = build_from_onnx(content)
    assert exported.card.needs == ("frames",)
    for batch, height, width in ((1, 37, 50), (2, 61, 33), (1, 9, 70)):
        image, stack = scene_of_frames(3, batch, height, width, torch.Generator().manual_seed(height))
        for frames in ([0, 1, 2, 3], [0], [3], [1, 2]):
            told = Condition(frames_BTCHW=stack[:, frames])
            found, expected = exported(image, condition=told), restorer(image, condition=told)
            torch.testing.assert_close(found, expected, rtol=0, atol=TOLERANCE)
            other_way = Condition(frames_BTCHW=stack[:, frames[::-1]])
            assert torch.equal(exported(image, condition=other_way), found)
    with pytest.raises(RestorerError, match="needs the frames"):
        exported(image)
