"""Networks as ONNX: the same pixels as PyTorch, in the pipeline and without us; and what is refused."""

import dataclasses
import json
import re
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
from torch import nn

import restora
from models.card import Card
from models.contract import Condition, RestorerError
from models.edge.half import in_half
from models.edge.onnx_export import TOLERANCE, TOLERANCES, export_onnx, largest_difference
from models.edge.onnx_model import build_from_onnx
from models.guides.matching import matched
from models.networks import NetworkModel, build_network, card_facts
from models.restorer import Restorer
from models.weights import SHIPPED, save_weights
from pipeline import run
from pipeline.edge.export import export
from pipeline.errors import JobError
from pipeline.jobs.job import Job
from pipeline.recipe.weights import fetch_restorer
from pipeline.results.tables import read_metrics
from tests.restorer_contract import CHECKS, condition_for, scene

ROOT = Path(__file__).parents[3]


def restorer_of(architecture, arguments, **facts):
    torch.manual_seed(4)
    network = build_network(architecture, arguments)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.02)
    known = card_facts(network) | facts
    card = Card(name=architecture, summary="Small.", task="general", architecture=architecture, **known)
    return Restorer(dataclasses.replace(card, arguments=arguments), NetworkModel(network))


# Capturing a graph of free size costs seconds of processor time, the deeper the more, so that one does for
# all tests; `python -m benchmarks.edge` compares all that is shipped, and every export compares itself.
@pytest.fixture(scope="module")
def ffdnet():
    return restorer_of("ffdnet", {"features": 12, "layers": 3, "predicts": "noise"}, value_range=(-1.0, 1.0))


@pytest.fixture(scope="module")
def written(ffdnet, tmp_path_factory):
    weights = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_weights(weights, ffdnet.card, ffdnet.model.network.state_dict())
    done = export(str(weights), "onnx", weights.with_suffix(".onnx"))
    assert done.file.stat().st_size == done.size
    assert done.difference <= TOLERANCE
    assert {each.name for each in weights.parent.iterdir()} == {"small.safetensors", "small.onnx"}
    return done.file


@pytest.fixture(scope="module")
def exported(written):
    return written.read_bytes()


def test_the_page_says_how_near_every_shipped_network_is():
    page = (ROOT / "docs" / "edge.md").read_text(encoding="utf-8")
    found = dict(re.findall(r"^\| `([\w-]+)` \| [\d.]+ \| (\S+) \|", page, re.MULTILINE))
    told_elsewhere = {
        "dcgan-photographs",
        "pannet-x2",
        "ffdnet-grey-quantiles",
        "frame-fusion-x3",
        "basicvsr-clip",
    }
    assert found.keys() == SHIPPED.keys() - told_elsewhere
    assert all(float(each) <= TOLERANCE for each in found.values())


# Capturing a network that takes a guide costs half a minute: `python -m benchmarks.edge --only pannet-x2`.
def test_a_guide_comes_to_a_graph_as_to_a_network():
    tensors = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", "bands", f"{name}_h", f"{name}_w"])
        for name in ("image", "guide", "restored")
    ]
    node = helper.make_node("Identity", ["guide"], ["restored"])
    proto = helper.make_model(helper.make_graph([node], "guided", tensors[:2], tensors[2:]), ir_version=10)
    facts = {"scale": 2, "channels": None, "needs": ("guide",), "value_range": (0.0, 1.0)}
    card = Card(name="guided", summary="Small.", task="general", architecture="pannet", **facts)
    proto.metadata_props.add(key="card", value=card.to_json())
    image, guide = scene(4, 30, 44, batch=2), scene(1, 60, 88, batch=2)
    found = build_from_onnx(proto.SerializeToString())(image, condition=Condition(guide_BPHW=guide))
    assert torch.equal(found, matched(guide, image, 2))


def test_onnxruntime_gives_the_pixels_of_pytorch(ffdnet, exported):
    again = build_from_onnx(exported)
    assert again.card.value_range == (0.0, 1.0), "the graph has the network's range inside"
    image_BCHW = scene(3, 45, 71, batch=3)
    condition = condition_for(ffdnet.card, 3, 45, 71)
    expected = ffdnet(image_BCHW, condition=condition)
    torch.testing.assert_close(again(image_BCHW, condition=condition), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_contract(exported, check):
    check(build_from_onnx(exported))


def test_it_is_plain_onnx_with_free_axes_and_the_card(ffdnet, exported):
    proto = onnx.load_from_string(exported)
    onnx.checker.check_model(proto, full_check=True)
    axes = [[d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in proto.graph.input]
    assert axes == [["batch", 3, "height", "width"], ["batch"]]
    metadata = {each.key: each.value for each in proto.metadata_props}
    assert Card.from_json(metadata["card"]) == dataclasses.replace(ffdnet.card, value_range=(0.0, 1.0))
    assert json.loads(metadata["tiling"]) == {"core": 512, "halo": 8, "multiple": 2, "blend": "crop"}


def test_half_precision_keeps_weights_in_16_bits(ffdnet, exported):
    light = in_half(exported)
    kinds = {each.data_type for each in onnx.load_from_string(light).graph.initializer if len(each.dims) == 4}
    assert kinds == {onnx.TensorProto.FLOAT16}
    again = build_from_onnx(light)
    assert again.card.name == ffdnet.card.name
    assert largest_difference(ffdnet, again) <= TOLERANCES["float16"]


def test_an_export_that_computes_something_else_is_noticed(ffdnet, exported):
    proto = onnx.load_from_string(exported)
    bias = next(each for each in proto.graph.initializer if each.name.endswith("convolutions.2.bias"))
    bias.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(bias) + 0.01, bias.name))
    wrong = build_from_onnx(proto.SerializeToString())
    assert largest_difference(ffdnet, wrong) > TOLERANCE


def test_an_image_is_restored_by_the_pipeline_and_without_us(written, tmp_path):
    clean_HWC = np.ascontiguousarray(skimage.data.astronaut()[:75, :90])
    (tmp_path / "in").mkdir()
    Image.fromarray(clean_HWC).save(tmp_path / "in" / "in.png")
    expected = restora.restore_array(clean_HWC, str(written.with_suffix(".safetensors")), noise_level=20)
    job = {
        "name": "edge", "output": str(tmp_path / "out"), "kind": "restore",
        "datasets": [{"name": "here", "uri": str(tmp_path / "in")}],
        "restorers": [{"name": "small", "weights": str(written), "noise_level": 20}],
    }  # fmt: skip
    with run.open_run(Job.parse(job), run.Options(engine="local")) as opened:
        run.execute(opened, run.Options(engine="local"), run.plan(opened, run.Options(engine="local")))
        run.compact(opened)
        (row,) = read_metrics(opened).to_pylist()
    assert row["status"] == "ok", row["message"]
    ours = np.asarray(Image.open(row["output_uri"]))
    command = [sys.executable, ROOT / "docs/example-onnx/restore.py", written]
    subprocess.run(
        [*command, tmp_path / "in" / "in.png", tmp_path / "out.png", "20"], check=True, timeout=120
    )
    theirs = np.asarray(Image.open(tmp_path / "out.png"))
    for each in (ours, theirs):
        assert np.abs(each.astype(int) - expected).max() <= 1, "more than the rounding of 8 bits"
    assert (ours == theirs).mean() > 0.999


@pytest.mark.parametrize("name", ["restore.py", "restore_frames.py"])
def test_the_example_is_short_and_has_none_of_us(name):
    text = (ROOT / "docs/example-onnx" / name).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 40
    assert not any(
        f"import {each}" in text or f"from {each}" in text for each in ("models", "pipeline", "torch")
    )


class Spectrum(nn.Module):
    def forward(self, image_BCHW):
        return image_BCHW * torch.linalg.eigvalsh(image_BCHW @ image_BCHW.mT).mean()


class Branch(nn.Module):
    def forward(self, image_BCHW):
        return image_BCHW if image_BCHW.mean() > 0 else -image_BCHW


class Holder(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), layer)

    def forward(self, image_BCHW):
        return self.body(image_BCHW)


@pytest.mark.parametrize("layer", [Spectrum(), Branch()], ids=["no such operator", "a branch"])
def test_what_has_no_twin_in_onnx_is_refused_by_the_layers_name(layer, capfd):
    card = Card(name="odd", summary="Odd.", task="general", channels=3)
    named = (
        rf"odd: body\.1 \({type(layer).__name__}\) cannot be exported: .*; write that layer with operators"
    )
    with pytest.raises(ValueError, match=named):
        export_onnx(Restorer(card, NetworkModel(Holder(layer))))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("weights", "to", "message"),
    [
        ("bicubic", "onnx", r"bicubic is no network of ours \(interpolation\); give a restorer with weights"),
        ("dcgan-photographs", "onnx", "generates images; give weights that restore them"),
        ("ffdnet-blue", "onnx", 'did you mean "ffdnet-colour"'),
        ("ffdnet-grey", "onxx", 'unknown format "onxx"; did you mean "onnx"'),
    ],
)
def test_what_cannot_be_exported_is_refused_and_nothing_written(weights, to, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(JobError, match=message):
        export(weights, to)
    assert list(tmp_path.iterdir()) == []


def test_what_is_exported_again_is_refused_by_the_files_name(exported, tmp_path):
    (tmp_path / "again.onnx").write_bytes(exported)
    with pytest.raises(JobError, match=r"again\.onnx: \S+ is ONNX \(.*\); give a restorer with weights"):
        export(str(tmp_path / "again.onnx"), "onnx", tmp_path / "other.onnx")
    assert not (tmp_path / "other.onnx").exists()


def test_a_condition_that_graphs_are_not_told_is_refused():
    told = Card(name="odd", summary="Odd.", task="general", channels=3, needs=("operators",))
    with pytest.raises(ValueError, match="odd needs operators, which exported graphs are not told; it runs"):
        export_onnx(Restorer(told, NetworkModel(nn.Conv2d(3, 3, 3, padding=1))))


def test_other_files_of_onnx_are_refused(exported, tmp_path):
    proto = onnx.load_from_string(exported)
    next(each for each in proto.metadata_props if each.key == "card").value = '{"name": "cut o'
    damaged = proto.SerializeToString()
    del proto.metadata_props[:]
    for content, message in (
        (b"onnx", "no ONNX file that onnxruntime can run .*; fetch or export it again"),
        (exported[:-2000], "fetch or export it again"),
        (damaged, "the card is damaged .*; fetch or write the file again"),
        (proto.SerializeToString(), "has no card, .*; write it with restora export WEIGHTS --to onnx"),
    ):
        (tmp_path / "other.onnx").write_bytes(content)
        with pytest.raises(JobError, match=rf"other\.onnx: .*{message}"):
            fetch_restorer(str(tmp_path / "other.onnx"))


def test_a_failure_inside_is_the_images_own(exported):
    model = build_from_onnx(exported).model
    with pytest.raises(RestorerError, match="onnxruntime failed") as refused:
        model(torch.rand(1, 3, 7, 7), Condition(noise_level_B=torch.ones(1)))
    assert refused.value.reason == "RESTORER_FAILED"
