"""Of a large image no more copies are held than the restorer's input and what it makes of it."""

import tracemalloc

import numpy as np
import pytest
import torch

from pipeline.formats import decode
from pipeline.imaging import image as imaging
from pipeline.imaging import radiometry
from pipeline.imaging.image import Domain, Image, Metadata
from pipeline.imaging.radiometry import to_tensor
from pipeline.processing.auto_tiled_restorer import MemoryBudget
from pipeline.processing.cases import Loaded
from pipeline.processing.memory_need import PeakMemory
from pipeline.processing.processor import Processor
from pipeline.recipe.recipe import Recipe
from pipeline.units import Source
from tests.helpers import encoded, photograph, restore

SIDE = 256
FLOATS = SIDE * SIDE * 3 * 4
"""Bytes of the image as a tensor."""


@pytest.fixture
def small_strips(monkeypatch):
    """So that an image of this size is a large one."""
    monkeypatch.setattr(radiometry, "_STRIP", 1 << 12)
    monkeypatch.setattr(imaging, "_PART", 1 << 12)


@pytest.mark.parametrize("restorer", ["median", "identity"])
def test_restoring_makes_one_copy_of_an_image_in_tiles(small_strips, restorer):
    data = encoded(np.tile(photograph(0, SIDE // 4, SIDE // 4), (4, 4, 1)))
    source = Source("photos", "0.png", len(data), "1", "0" * 32)
    loaded = Loaded(source, "0" * 64, len(data), decode(data))
    process = Processor(Recipe.of(restore("in", "out", restorers=[restorer])), torch.device("cpu"))
    process.fitted(restorer).budget = MemoryBudget(pixels=1 << 10, core=32)
    degraded = process.degraded(loaded, None)
    with PeakMemory() as tensors:
        (outcome,) = process.restored([degraded], None)
    assert outcome.error is None
    assert 2 * FLOATS <= tensors.peak < 2.4 * FLOATS  # the input, which is looked at, and the result


@pytest.mark.parametrize(
    ("dtype", "low", "high"), [("uint8", 0, 255), ("uint16", 0, 65535), ("int16", -1024, 3071)]
)
def test_a_tensor_of_an_image_is_made_at_once(small_strips, dtype, low, high):
    pixels_HWC = np.random.default_rng(0).integers(low, high, (SIDE, SIDE, 3)).astype(dtype)
    image = Image(pixels_HWC, Domain(dtype, low, high), Metadata("png"))
    tracemalloc.start()
    try:
        unit_1CHW = to_tensor(image, torch.device("cpu"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert FLOATS <= peak < 1.1 * FLOATS
    assert unit_1CHW.is_contiguous()
    np.testing.assert_array_equal(unit_1CHW[0].permute(1, 2, 0).numpy(), image.to_unit())
    expected_HWC = ((pixels_HWC.astype("float64") - low) / (high - low)).astype("float32")
    np.testing.assert_allclose(image.to_unit(), expected_HWC, rtol=1e-7)
