"""LPIPS and DISTS with files of a user: the numbers of the authors' code, and what a job says of the files.

The gold numbers are of lpips 0.1.4 and DISTS-pytorch 0.1 on networks of torchvision 0.28 with the weights
that are made here: what ImageNet's weights are does not matter to a formula.
"""

import io
import math

import numpy as np
import pytest
import torch
from skimage import data
from torch.nn import functional as F

from models.backbones.alexnet import AlexNet
from models.backbones.vgg16 import VGG16
from pipeline.errors import JobError
from pipeline.jobs.job import Job
from pipeline.metrics import METRICS
from pipeline.recipe.recipe import Recipe

VGG16_SHAPES = {
    number: (width, inner, 3, 3)
    for number, width, inner in zip(
        (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
        (64, 64, 128, 128, *[256] * 3, *[512] * 6),
        (3, 64, 64, 128, 128, *[256] * 3, *[512] * 5),
        strict=True,
    )
}
ALEXNET_SHAPES = {
    0: (64, 3, 11, 11), 3: (192, 64, 5, 5), 6: (384, 192, 3, 3), 8: (256, 384, 3, 3), 10: (256, 256, 3, 3)
}  # fmt: skip
GOLD = {  # noise, blur
    "lpips_alex": (0.1457685, 0.2059746),
    "lpips_vgg": (0.1860162, 0.2653580),
    "dists": (0.0403513, 0.0502762),
}


def made(shapes):
    """A state dict of torchvision's layout, the same on every machine."""
    rng, state = np.random.RandomState(0), {}
    for number, shape in shapes.items():
        scale = math.sqrt(2 / math.prod(shape[1:]))
        state[f"features.{number}.weight"] = torch.from_numpy(
            (scale * rng.standard_normal(shape)).astype(np.float32)
        )
        state[f"features.{number}.bias"] = torch.from_numpy(
            rng.uniform(-0.1, 0.1, shape[0]).astype(np.float32)
        )
    return state


def heads(widths):
    """As lpips keeps its linear weights."""
    rng = np.random.RandomState(1)
    return {
        f"lin{layer}.model.1.weight": torch.from_numpy(rng.uniform(0, 1, (1, width, 1, 1)).astype(np.float32))
        for layer, width in enumerate(widths)
    }


def dists_weights():
    """As DISTS-pytorch keeps them."""
    rng = np.random.RandomState(2)
    return {
        name: torch.from_numpy(rng.uniform(0, 1, (1, 1475, 1, 1)).astype(np.float32))
        for name in ("alpha", "beta")
    }


def pairs():
    """A crop of a photograph with noise and blurred, and the crop."""
    crop = torch.from_numpy(data.astronaut()[20:52, 180:216].transpose(2, 0, 1).copy())[None].float() / 255
    noise = torch.from_numpy(np.random.RandomState(3).standard_normal(crop.shape).astype(np.float32))
    return [((crop + 0.1 * noise).clamp(0, 1), crop), (F.avg_pool2d(crop, 5, 1, 2), crop)]


def saved(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def files():
    """Metric -> content of both files."""
    vgg16, alexnet = saved(made(VGG16_SHAPES)), saved(made(ALEXNET_SHAPES))
    return {
        "lpips_alex": (alexnet, saved(heads(AlexNet.widths))),
        "lpips_vgg": (vgg16, saved(heads(VGG16.widths))),
        "dists": (vgg16, saved(dists_weights())),
    }


@pytest.mark.parametrize("name", GOLD)
def test_numbers_are_the_authors(name, files):
    metric = METRICS[name].with_weights(*files[name])
    for gold, (restored, reference) in zip(GOLD[name], pairs(), strict=True):
        assert float(metric(restored, reference, None)) == pytest.approx(gold, rel=1e-4)
        assert float(metric(reference, reference, None)) == pytest.approx(0, abs=1e-12)


def test_what_is_not_valid_does_not_count(files):
    metric = METRICS["lpips_alex"].with_weights(*files["lpips_alex"])
    (restored, reference), _ = pairs()
    valid = torch.ones_like(reference[:, :1], dtype=torch.bool)
    valid[..., :20] = False
    spoilt = restored.where(valid, math.nan)
    assert torch.equal(metric(spoilt, reference, valid), metric(restored, reference, valid))
    assert metric(restored, reference, ~torch.ones_like(valid)).isnan().all()
    assert metric(restored[:, :2], reference[:, :2], None).isnan().all()
    assert metric(restored[..., :30], reference[..., :30], None).isnan().all()


@pytest.fixture(scope="module")
def alexnet(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("alexnet")
    for name, content in zip(("backbone.pth", "heads.pth"), files["lpips_alex"], strict=True):
        (folder / name).write_bytes(content)
    return {"backbone": str(folder / "backbone.pth"), "heads": str(folder / "heads.pth")}


def job(**fields):
    return Job.parse(
        {
            "name": "perception",
            "output": "out",
            "datasets": [{"name": "photos", "uri": "photos"}],
            "degradations": ["awgn-25"],
            "restorers": ["median"],
            "metrics": ["psnr", "lpips_alex"],
            **fields,
        }
    )


def test_files_are_part_of_the_protocol_and_the_recipe(alexnet):
    recipe = Recipe.of(job(metric_weights={"lpips_alex": alexnet}))
    parameters = dict(recipe.metrics["lpips_alex"].protocol.parameters)
    assert set(parameters) == {"backbone_sha256", "heads_sha256"}
    assert recipe.specification["metrics"]["lpips_alex"]["parameters"] == tuple(parameters.items())
    assert not METRICS["lpips_alex"].protocol.parameters


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, r'metrics\[1\]: "lpips_alex" needs two files .* without files there is "lpips_lite0"'),
        ({"metrics": ["psnr"]}, r"metric_weights\.lpips_alex: is none of the metrics"),
        ({"backbone": "none.pth"}, r"metric_weights\.lpips_alex\.backbone: .*no such file"),
        ({"swapped": True}, r"metric_weights\.lpips_alex\.heads: not the linear weights of LPIPS"),
        ({"backbone": __file__}, r"metric_weights\.lpips_alex\.backbone: it holds no weights"),
    ],
)
def test_wrong_files_are_told_before_the_run(alexnet, changes, message):
    weights = dict(alexnet)
    if changes.pop("swapped", False):
        weights["heads"] = weights["backbone"]
    weights["backbone"] = changes.pop("backbone", weights["backbone"])
    given = {"metric_weights": {"lpips_alex": weights}} if "needs two files" not in message else {}
    with pytest.raises(JobError, match=message):
        Recipe.of(job(**changes, **given))


def test_metrics_without_files_take_none(alexnet):
    with pytest.raises(JobError, match=r"metric_weights\.psnr: this metric takes no files"):
        Recipe.of(job(metrics=["psnr"], metric_weights={"psnr": alexnet}))
