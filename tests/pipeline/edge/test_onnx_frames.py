"""Networks of several frames as ONNX: any size, any number of frames, in the pipeline and without us."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import skimage.data
import torch
from onnx import TensorProto, helper
from PIL import Image

from models import catalog
from models.card import Card
from models.contract import Condition, RestorerError
from models.edge.frames import recurrence
from models.edge.frames.accumulation import accumulated
from models.edge.frames.flow import flow_between
from models.edge.frames.probe import scene_of_frames
from models.edge.inner_graphs import modernise
from models.edge.onnx_export import TOLERANCE
from models.edge.onnx_model import build_from_onnx
from models.networks import build_network
from models.stacks import accumulation, flow
from pipeline.edge.export import export
from pipeline.jobs.job import Job
from tests.helpers import complete, decoded, encoded, fill, restore

ROOT = Path(__file__).parents[3]
RULE = r"(?P<scene>.+)_(?P<t>\d+)\.png"
SIZES = ((1, 64, 72), (2, 40, 70), (1, 8, 34))
"""Batch, height and width: with both levels of flow, with one, and with none."""


def scene_of(batch, height, width):
    return scene_of_frames(3, batch, height, width, torch.Generator().manual_seed(height))


@pytest.fixture(scope="module")
def basicvsr():
    torch.manual_seed(5)
    network = build_network("basicvsr", {"features": 8, "blocks": 1}).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
    return network


@pytest.mark.parametrize("size", SIZES)
@torch.no_grad()
def test_flow_and_accumulation_are_those_of_pytorch(size):
    image, frames = scene_of(*size)
    pairs = [flow.flow_between(image, each) for each in frames.unbind(1)]
    flow_TB2HW, found_TB = torch.stack([one for one, _ in pairs]), torch.stack([one for _, one in pairs])
    found, known = flow_between(image.repeat(4, 1, 1, 1), frames.transpose(0, 1).flatten(0, 1))
    assert torch.equal(known.view_as(found_TB), found_TB)
    torch.testing.assert_close(found.view_as(flow_TB2HW), flow_TB2HW, rtol=0, atol=1e-4)
    ours = accumulated(image, frames.transpose(0, 1), flow_TB2HW, found_TB.float())
    torch.testing.assert_close(ours, accumulation.accumulated(image, frames), rtol=0, atol=1e-5)


def loop(step, carried, told):
    """What ``scan`` is defined as; PyTorch's own wants to be compiled for each size."""
    for each in zip(*told, strict=True):
        carried, _ = step(carried, each)
    return carried, None


@pytest.mark.parametrize("size", SIZES)
@torch.no_grad()
def test_the_recurrence_goes_to_the_image_from_either_end(size, basicvsr, monkeypatch):
    monkeypatch.setattr(recurrence, "scan", loop)
    twin = recurrence.BasicVSRGraph(basicvsr).eval()
    image, stack = scene_of(*size)
    seen = set()
    for frames in ([0, 1, 2, 3], [3, 1], [2]):
        for place in range(len(frames) + 1):
            told = stack[:, frames], torch.full((len(image),), place)
            found = twin(image, *told)
            torch.testing.assert_close(found, basicvsr(image, *told), rtol=0, atol=TOLERANCE)
            seen.add((*frames, float(found.sum())))
    assert min(size[1:]) < 16 or len(seen) == 10, "where the image stands among its frames decides"


def test_a_sampler_within_a_loop_is_spelt_as_today():
    def graph_of(*nodes):
        return helper.make_graph(nodes, "graph", [], [])

    inner = helper.make_node("GridSample", ["x", "grid"], ["y"], mode="bilinear")
    outer = helper.make_node("GridSample", ["x", "grid"], ["z"], mode="cubic")
    graph = graph_of(helper.make_node("Scan", ["x"], ["y"], body=graph_of(inner), num_scan_inputs=1), outer)
    modernise(graph)
    body = onnx.helper.get_node_attr_value(graph.node[0], "body")
    modes = [helper.get_node_attr_value(each, "mode") for each in (body.node[0], graph.node[1])]
    assert modes == [b"linear", b"cubic"]


@pytest.fixture
def place_of_the_image(tmp_path):
    """A graph that gives the mean of the frames, plus a hundredth for each that comes before the image."""
    tensors = [
        helper.make_tensor_value_info("image", TensorProto.FLOAT, ["b", 3, "h", "w"]),
        helper.make_tensor_value_info("frames", TensorProto.FLOAT, ["b", "t", 3, "h", "w"]),
        helper.make_tensor_value_info("place", TensorProto.INT64, ["b"]),
    ]
    nodes = [
        helper.make_node("ReduceMean", ["frames", "one"], ["mean"], keepdims=0),
        helper.make_node("Cast", ["place"], ["number"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["number", "hundredth"], ["more"]),
        helper.make_node("Add", ["mean", "more"], ["restored"]),
    ]
    numbers = [
        helper.make_tensor("one", TensorProto.INT64, [1], [1]),
        helper.make_tensor("hundredth", TensorProto.FLOAT, [], [0.01]),
    ]
    restored = helper.make_tensor_value_info("restored", TensorProto.FLOAT, ["b", 3, "h", "w"])
    proto = helper.make_model(
        helper.make_graph(nodes, "frames", tensors, [restored], numbers),
        ir_version=10,
        opset_imports=[helper.make_opsetid("", 23)],
    )
    card = Card(name="mean", summary="Small.", task="general", architecture="basicvsr", channels=3)
    card = dataclasses.replace(card, needs=("frames", "place"), halo=None, tile_exact=False)
    proto.metadata_props.add(key="card", value=card.to_json())
    (tmp_path / "mean.onnx").write_bytes(proto.SerializeToString())
    return tmp_path / "mean.onnx"


def test_a_graph_is_told_the_frames_of_a_dataset_and_the_place_of_the_image(place_of_the_image, tmp_path):
    levels = (40, 80, 160)
    plain = {f"a_{t}.png": np.full((20, 24, 3), level, np.uint8) for t, level in enumerate(levels)}
    restored = restored_by(weights_in(place_of_the_image), tmp_path / "in", plain, tmp_path / "out")
    for t, (others, before) in enumerate((((80,), 0), ((40, 160), 1), ((80,), 1))):
        assert (restored[f"a_{t}.png"] == round(np.mean(others) + 2.55 * before)).all()
        theirs = by_the_example(place_of_the_image, t, [tmp_path / "in" / key for key in plain], tmp_path)
        everyone = [level for place, level in enumerate(levels) if place != t]
        assert (theirs == round(np.mean(everyone) + 2.55 * t)).all()


def by_the_example(file, place, frames, folder):
    """The image of that place, restored without us."""
    command = [sys.executable, ROOT / "docs/example-onnx/restore_frames.py", file, folder / "out.png"]
    subprocess.run([*command, str(place), *frames], check=True, timeout=120)
    return np.asarray(Image.open(folder / "out.png"))


def weights_in(file):
    return {"name": "it", "weights": str(file)}


def restored_by(restorer, source, scene, output):
    """Each frame by the one before it and the one after it, as a run of the pipeline writes them."""
    fill(source, {key: encoded(frame) for key, frame in scene.items()})
    dataset = {"name": "clips", "uri": str(source), "group": {"match": RULE, "around": 1}}
    job: Job = restore(source, output, datasets=[dataset], restorers=[restorer])
    rows = complete(job)
    assert [row["status"] for row in rows] == ["ok"] * len(scene), [row["message"] for row in rows]
    return {row["key"]: decoded(Path(row["output_uri"]).read_bytes()) for row in rows}


@pytest.fixture(scope="module", params=["basicvsr-clip", "frame-fusion-x3"])
def shipped(request, tmp_path_factory):
    """A shipped network, and the file that it was exported to: some minutes of a core for each."""
    file = tmp_path_factory.mktemp("exported") / f"{request.param}.onnx"
    assert export(request.param, "onnx", file).difference <= TOLERANCE
    return catalog.build(request.param), file


@pytest.mark.long
def test_frames_of_any_number_size_and_place_are_restored_as_in_pytorch(shipped):
    restorer, file = shipped
    exported = build_from_onnx(file)
    assert exported.card.needs == restorer.card.needs
    for batch, height, width in ((1, 37, 50), (2, 61, 33), (1, 9, 70)):
        image, stack = scene_of(batch, height, width)
        for frames in ([0, 1, 2, 3], [0], [3], [1, 2]):
            for place in {0, 1, len(frames)}:
                told = Condition(frames_BTCHW=stack[:, frames], place=place)
                found, expected = exported(image, condition=told), restorer(image, condition=told)
                torch.testing.assert_close(found, expected, rtol=0, atol=TOLERANCE)
                if "place" not in restorer.card.needs:
                    other_way = Condition(frames_BTCHW=stack[:, frames[::-1]])
                    assert torch.equal(exported(image, condition=other_way), found)
    with pytest.raises(RestorerError, match="needs the"):
        exported(image)


@pytest.mark.long
def test_a_run_of_the_pipeline_and_the_example_give_what_pytorch_gives(shipped, tmp_path):
    restorer, file = shipped
    whole = skimage.data.astronaut()[:90, 200:310]
    rng = np.random.default_rng(3)
    scene = {}
    for t in range(3):
        moved = whole[t : t + 61, 2 * t : 2 * t + 75] + rng.normal(0, 4, (61, 75, 3))
        scene[f"a_{t}.png"] = np.rint(moved.clip(0, 255)).astype(np.uint8)
    expected = restored_by(restorer.card.name, tmp_path / "in", scene, tmp_path / "torch")
    found = restored_by(weights_in(file), tmp_path / "in", scene, tmp_path / "onnx")
    for key, one in expected.items():
        difference = np.abs(found[key].astype(int) - one)
        assert difference.max() <= 1, "more than the rounding of 8 bits"
        assert (difference == 0).mean() > 0.99
    theirs = by_the_example(file, 1, [tmp_path / "in" / key for key in scene], tmp_path)
    assert np.abs(theirs.astype(int) - found["a_1.png"]).max() <= 1
