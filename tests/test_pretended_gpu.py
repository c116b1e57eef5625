"""The device's part on a GPU that is none: whatever mixes devices fails here, on a machine without one."""

import math
import uuid

import numpy as np
import pytest
import torch

from models import catalog
from pipeline.degradation.presets import PRESETS
from pipeline.metrics import METRICS, features
from pipeline.processing.processor import Processor
from pipeline.recipe.recipe import Recipe
from pipeline.storage.folder import Folder
from tests.helpers import benchmark, encoded, photograph
from tests.pipeline.metrics.test_metrics import WITHOUT_FILES
from tests.pipeline.processing.test_processor import loaded
from tests.pretended_gpu import GPU, OnGPU, pretended_gpu
from tests.restorer_contract import condition_for, moved, scene

CPU = torch.device("cpu")
OF_MORE_BANDS = {"quickbird-x4", "worldview3-x4", "landsat-x2"}
"""Presets of sensors whose images are not of three bands."""
SLOW = (
    "joint-total-variation", "total-variation-deblurring", "total-variation-inpainting",
    "unsupervised-wiener", "plug-and-play", "plug-and-play-bm3d", "regularisation-by-denoising",
)  # fmt: skip
"""Hundreds of steps each."""


@pytest.fixture
def gpu(monkeypatch):
    return pretended_gpu(monkeypatch)


def test_what_a_gpu_refuses_is_refused(gpu):
    with gpu as asked:
        there = torch.arange(6.0, device=GPU).reshape(2, 3)
        assert there.is_cuda
        assert (there * 2)[0].tolist() == [0, 2, 4]
        with pytest.raises(RuntimeError, match="on the CPU, another on cuda:0"):
            there + torch.ones(3)
        with pytest.raises(TypeError, match="cuda:0 device type tensor to numpy"):
            there.numpy()
        with pytest.raises(RuntimeError, match="expected a 'cuda' generator"):
            there.clone().normal_(generator=torch.Generator())
        assert float((there + torch.ones(()))[1, 2]) == 6.0, "a number goes with either"
        assert np.array_equal(there.cpu().numpy(), np.arange(6.0).reshape(2, 3))
        assert sum(asked.values()) == 3, "a list, a number and an array were waited for"


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.long] * (name in SLOW)) for name in catalog.RESTORERS],
)
def test_restorers(gpu, name):
    restorer = catalog.build(name)
    degraded = scene(restorer.card.channels or 3, 16, 20, batch=2)
    condition = condition_for(restorer.card, 2, 16, 20)
    expected = restorer(degraded, condition=condition)
    with gpu:
        restored = restorer.to(GPU)(degraded.to(GPU), condition=moved(condition, GPU))
    assert isinstance(restored, OnGPU)
    assert torch.equal(restored.held, expected)


@pytest.fixture(scope="module")
def photos():
    folder = Folder(f"memory://{uuid.uuid4().hex}")
    return [loaded(folder, f"{i}.png", encoded(photograph(i))) for i in range(2)]


def outcomes(photos, device, **fields):
    found = list(Processor(Recipe.of(benchmark("in", "out", **fields)), device)(photos))
    assert [each.error for each in found] == [None] * len(found)
    return [(each.fields, each.restored.pixels_HWC) for each in found]


def require_equal(photos, gpu, **fields):
    expected = outcomes(photos, CPU, **fields)
    with gpu:
        found = outcomes(photos, GPU, **fields)
    for (scores, pixels_HWC), (its_scores, its_pixels_HWC) in zip(expected, found, strict=True):
        assert np.array_equal(pixels_HWC, its_pixels_HWC)
        numbers = {name: value for name, value in scores.items() if name in METRICS or name == "seed"}
        assert all(
            value is None or math.isnan(value) or its_scores[name] == pytest.approx(value)
            for name, value in numbers.items()
        )


def test_metrics(photos, gpu):
    try:
        require_equal(photos[:1], gpu, degradations=["awgn-25"], restorers=["median"], metrics=WITHOUT_FILES)
    finally:
        features._lite0.cache_clear()  # the one of this process would stay where nothing is


@pytest.mark.parametrize("name", sorted(PRESETS.keys() - OF_MORE_BANDS))
def test_degradations(photos, gpu, name):
    scale = int(name[-1]) if name[-2] == "x" and not name.startswith("mri") else 1
    restorer = (
        {"solver": "interpolation", "name": "enlarged", "scale": 8} if scale == 8 else f"bicubic-x{scale}"
    )
    require_equal(
        photos, gpu, degradations=[name], restorers=[restorer if scale > 1 else "identity"], metrics=["psnr"]
    )
