"""Ratios and angles count from physical zero: one reflectance has one score, however it is stored."""

import uuid

import numpy as np
import pytest
import torch

from pipeline.formats import decode
from pipeline.processing.cases import Loaded
from pipeline.processing.processor import Processor
from pipeline.recipe.recipe import Recipe
from pipeline.storage.folder import Folder
from tests.geotiff_samples import geotiff, ground
from tests.helpers import benchmark, source_of

pytest.importorskip("rasterio")

METRICS = ["sam", "ergas", "nrmse", "uqi", "volume_nmse", "volume_psnr"]
SCALE = 0.0001
BLUR = {"name": "blur", "operators": [{"op": "gaussian_blur", "sigma": 1.5}]}


def reflectance() -> np.ndarray:
    """CHW: three bands of 0.01 to about 0.3, of different levels."""
    return np.round(ground(3, "float32", 48, 56) * np.array([0.5, 0.3, 0.1])[:, None, None] / SCALE) * SCALE


def outcome_of(stored_CHW: np.ndarray, scales=(SCALE,) * 3, offsets=(0.0,) * 3, radiometry=None):
    def edit(dataset):
        dataset.scales, dataset.offsets = scales, offsets

    data, folder = geotiff(stored_CHW, edit), Folder(f"memory://{uuid.uuid4().hex}")
    folder.put("a.tif", data)
    (entry,) = next(iter(folder.pages()))
    dataset = {"name": "photos", "uri": "in"} | ({"radiometry": radiometry} if radiometry else {})
    fields = {"degradations": [BLUR], "restorers": ["identity"], "metrics": METRICS}
    job = benchmark("in", "out", datasets=[dataset], **fields)
    process = Processor(Recipe.of(job), torch.device("cpu"))
    image = decode(data)
    (outcome,) = process([Loaded(source_of("photos", folder, entry), "00", len(data), image)])
    assert outcome.error is None
    return outcome


def expected(outcome) -> dict[str, float]:
    """The definitions, in float64, of the pixels as they are stored."""
    domain = outcome.loaded.image.domain
    scale, offset = np.array(domain.scales), np.array(domain.offsets)
    x, y = (image.pixels_HWC * scale + offset for image in (outcome.restored, outcome.case.reference))
    cosine = (x * y).sum(2) / np.linalg.norm(x, axis=2) / np.linalg.norm(y, axis=2)
    relative = ((x - y) ** 2).mean((0, 1)) / y.mean((0, 1)) ** 2
    return {
        "sam": np.rad2deg(np.arccos(np.clip(cosine, -1, 1))).mean(),
        "ergas": 25 * np.sqrt(relative.mean()),
        "nrmse": np.linalg.norm(x - y) / np.linalg.norm(y),
        "uqi": quality_index(x, y),
        "volume_nmse": ((x - y) ** 2).sum() / (y**2).sum(),
        "volume_psnr": 10 * np.log10(y.max() ** 2 / ((x - y) ** 2).mean()),
    }


def quality_index(x: np.ndarray, y: np.ndarray) -> float:
    x, y = (np.lib.stride_tricks.sliding_window_view(each, (8, 8), (0, 1)) for each in (x, y))
    (mx, vx), (my, vy) = ((each.mean((-2, -1)), each.var((-2, -1))) for each in (x, y))
    covariance = (x * y).mean((-2, -1)) - mx * my
    return float((4 * covariance * mx * my / ((vx + vy) * (mx**2 + my**2))).mean())


def stored(dtype: str, offset: float = 0.0) -> np.ndarray:
    return np.round((reflectance() - offset) / SCALE).astype(dtype)


CASES = {
    "uint16": (stored("uint16"), {}),
    "int16": (stored("int16"), {}),
    "uint16 with offset": (stored("uint16", -0.1), {"offsets": (-0.1,) * 3}),
    "int16 of other radiometry": (stored("int16"), {"radiometry": {"low": -0.2, "high": 1.0}}),
    "uint16 with scale of the job": (
        stored("uint16", -0.1),
        {"scales": (1.0,) * 3, "radiometry": {"low": 0, "high": 1, "scale": SCALE, "offset": -0.1}},
    ),
    "float32": (reflectance().astype("float32"), {"scales": (1.0,) * 3}),
    "float32 of other radiometry": (
        reflectance().astype("float32"),
        {"scales": (1.0,) * 3, "radiometry": {"low": -0.2, "high": 1.2, "scale": 1.0}},
    ),
    "bands of other scales": (
        np.round(reflectance() / np.array([1e-4, 5e-5, 2e-5])[:, None, None]).astype("int16"),
        {"scales": (1e-4, 5e-5, 2e-5)},
    ),
}
GOLD = {
    "sam": 5.8544,
    "ergas": 5.9653,
    "nrmse": 0.16348,
    "uqi": 0.67267,
    "volume_nmse": 0.026725,
    "volume_psnr": 28.530,
}
"""Of the definitions below, in float64, for the uint16 file."""


@pytest.mark.parametrize("name", CASES)
def test_every_way_to_store_a_reflectance_has_its_scores(name):
    samples_CHW, fields = CASES[name]
    scores = {each: outcome_of(samples_CHW, **fields).fields[each] for each in METRICS}
    assert scores == pytest.approx(GOLD, rel=2e-4)


@pytest.mark.parametrize("name", ["uint16", "int16", "uint16 with offset", "bands of other scales"])
def test_scores_are_the_definitions_in_physical_units(name):
    samples_CHW, fields = CASES[name]
    outcome = outcome_of(samples_CHW, **fields)
    assert {each: outcome.fields[each] for each in METRICS} == pytest.approx(expected(outcome), rel=2e-5)
