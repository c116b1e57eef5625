"""What a restorer left alone comes back bit for bit, whatever its type and range."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.imaging.image import Domain, Image, Metadata
from pipeline.processing.cases import Loaded
from pipeline.processing.processor import Processor
from pipeline.recipe.recipe import Recipe
from pipeline.units import Source
from tests.helpers import restore

DTYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"]


@pytest.fixture(scope="module")
def process():
    return Processor(Recipe.of(restore("in", "out", restorers=["identity"])), torch.device("cpu"))


def image_of(dtype: str, seed: int, low: float, has_holes: bool) -> Image:
    """Samples over the whole type, zeros among them; ranges that begin anywhere."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        pixels = (rng.normal(size=(9, 7, 2)) * 10.0 ** rng.integers(-3, 4)).astype(dtype)
        domain = Domain(dtype, low, low + 10.0, rule="job")
    else:
        ends = np.iinfo(dtype)
        pixels = rng.integers(ends.min, ends.max, (9, 7, 2), dtype, endpoint=True)
        domain = Domain.of_integers(dtype)
        domain = domain if low == 0 else replace(domain, low=low, high=low + 1000.0, rule="job")
    pixels[rng.random(pixels.shape) < 0.2] = 0
    valid_HW = rng.random((9, 7)) < 0.8 if has_holes else None
    if valid_HW is not None:
        valid_HW[0, 0] = True
        pixels[~valid_HW] = pixels.min()
    return Image(pixels, domain, Metadata("nifti"), valid_HW)


def identity(process: Processor, image: Image) -> Image:
    source = Source.__new__(Source)
    object.__setattr__(source, "dataset", "photos")
    (outcome,) = process([Loaded(source, "00", 1, image)])
    assert outcome.error is None, outcome.error
    return outcome.restored


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(DTYPES), st.integers(0, 2**31), st.sampled_from([0.0, -7.3, 0.1, -160.0]), st.booleans()
)
def test_identity_gives_the_very_samples(process, dtype, seed, low, has_holes):
    image = image_of(dtype, seed, low, has_holes)
    restored = identity(process, image)
    assert restored.pixels_HWC.dtype == image.pixels_HWC.dtype
    assert np.array_equal(restored.pixels_HWC, image.pixels_HWC)
