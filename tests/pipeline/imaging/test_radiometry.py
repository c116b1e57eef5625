"""Stored numbers, physical units and pixels without data."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ImageError, JobError
from pipeline.imaging import nodata, radiometry
from pipeline.imaging.image import Domain, Image, Metadata
from pipeline.imaging.radiometry import in_units, quantised, to_stored, to_tensor
from pipeline.jobs.job import Job, Radiometry

CPU = torch.device("cpu")


def image_of(pixels_HWC, domain=None, valid_HW=None):
    domain = domain or Domain.of_integers(pixels_HWC.dtype.name)
    return Image(pixels_HWC, domain, Metadata("png"), valid_HW=valid_HW)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16"])
def test_every_stored_value_comes_back(dtype):
    limits = np.iinfo(dtype)
    values_HWC = np.arange(limits.min, limits.max + 1, dtype=dtype).reshape(-1, 64, 1)
    image = image_of(values_HWC)
    again, clipped_B = quantised(to_tensor(image, CPU), image.domain)
    np.testing.assert_array_equal(to_stored(again, image.domain)[0], values_HWC)
    assert clipped_B.tolist() == [0]


@given(
    low=st.floats(-2000, 0),
    span=st.floats(1, 20_000),
    scale=st.sampled_from([1.0, 0.0001, 0.02, 2.5, -1.0]),
    offset=st.sampled_from([0.0, -1024.0, -0.1]),
)
def test_a_range_in_physical_units_changes_what_the_model_sees_and_no_stored_value(low, span, scale, offset):
    values_HWC = np.linspace(-32768, 32767, 640).astype("int16").reshape(20, 32, 1)
    domain = dataclasses.replace(Domain.of_integers("int16"), scales=(scale,), offsets=(offset,))
    low, high = low * abs(scale), (low + span) * abs(scale)
    ends = [limit * scale + offset for limit in (-32768, 32767)]
    if max(ends) <= low or min(ends) >= high:
        with pytest.raises(ImageError, match="is between"):
            in_units(image_of(values_HWC, domain), Radiometry(low=low, high=high))
        return
    image = in_units(image_of(values_HWC, domain), Radiometry(low=low, high=high))
    seen = to_tensor(image, CPU)[0, 0].double().numpy()
    physical = values_HWC[..., 0] * scale + offset
    expected = (physical - low) / (high - low) if scale > 0 else (high - physical) / (high - low)
    np.testing.assert_allclose(seen, expected, atol=1e-5 * (1 + np.abs(expected).max()))
    again, clipped_B = quantised(to_tensor(image, CPU), image.domain)
    np.testing.assert_array_equal(to_stored(again, image.domain)[0], values_HWC)
    assert clipped_B.item() == 0
    assert image.domain.rule == "job"


def test_clipped_pixels_are_counted_once_whatever_the_number_of_channels():
    domain = Domain.of_integers("uint8")
    image_BCHW = torch.full((2, 3, 4, 4), 0.5)
    image_BCHW[0, :, 0, 0] = 1.2
    image_BCHW[0, 1, 1, 1] = -0.1
    image_BCHW[1, 0, 2, 2] = 1.001  # rounds to 255
    clipped_BCHW, clipped_B = quantised(image_BCHW, domain)
    assert clipped_B.tolist() == [2, 0]
    assert 0 <= float(clipped_BCHW.min()) <= float(clipped_BCHW.max()) <= 1


def test_what_may_be_stored_is_not_what_the_model_sees_as_its_range():
    """Reflectance above 1 is legal: clouds. 12 bits in 16 end at 4095."""
    domain = Domain("uint16", low=0.0, high=10_000.0)
    assert to_stored(torch.full((1, 1, 1, 1), 1.3), domain).item() == 13_000
    assert to_stored(torch.full((1, 1, 1, 1), 9.0), domain).item() == 65_535
    bits = Domain("uint16", low=0.0, high=4095.0, limits=(0.0, 4095.0))
    assert to_stored(torch.full((1, 1, 1, 1), 1.3), bits).item() == 4095


def test_unknown_units_are_refused_with_the_cure():
    values_HWC = np.zeros((2, 2, 2), "uint16")
    with pytest.raises(ImageError, match=r"no scale; give radiometry\.scale") as refusal:
        in_units(image_of(values_HWC), Radiometry(low=0, high=1))
    assert refusal.value.reason == "RADIOMETRY_UNKNOWN"
    differing = Domain("uint16", 0.0, 1.0, scales=(1e-4, 2e-4), offsets=(0.0, 0.0))
    with pytest.raises(ImageError, match="bands have different scales"):
        in_units(image_of(values_HWC, differing), Radiometry(low=0, high=1))
    told = in_units(image_of(values_HWC), Radiometry(low=0, high=1, scale=1e-4))
    assert (told.domain.low, told.domain.high) == (0.0, pytest.approx(10_000))


def test_a_job_names_the_wrong_range():
    fields = {"name": "a", "output": "o", "kind": "degrade", "degradations": ["bicubic-x2"]}
    with pytest.raises(JobError, match=r"datasets\[0\]\.radiometry: low must be less than high, got 1 and 0"):
        Job.parse(fields | {"datasets": [{"name": "d", "uri": "x", "radiometry": {"low": 1, "high": 0}}]})


def test_no_data_is_filled_from_the_nearest_neighbour():
    pixels_HWC = np.full((5, 5, 2), 7, "int16")
    pixels_HWC[2, 2] = -9999
    valid_HW = np.ones((5, 5), bool)
    valid_HW[2, 2] = False
    image = image_of(pixels_HWC, valid_HW=valid_HW)
    assert (nodata.filled(image).pixels_HWC == 7).all()
    assert nodata.share(image) == pytest.approx(1 / 25)
    with pytest.raises(ImageError, match="not one pixel") as refusal:
        nodata.filled(image_of(pixels_HWC, valid_HW=np.zeros((5, 5), bool)))
    assert refusal.value.reason == "ALL_NODATA"


@pytest.mark.parametrize("scale", [1, 2])
def test_no_data_goes_out_as_it_came_in(scale):
    pixels_HWC = np.full((4, 6, 1), np.nan, "float32")
    pixels_HWC[:, 2:] = 0.25
    valid_HW = np.isfinite(pixels_HWC[..., 0])
    image = image_of(pixels_HWC, Domain("float32", 0.0, 1.0), valid_HW)
    restored = image.with_pixels(np.full((4 * scale, 6 * scale, 1), 0.5, "float32"))
    assert np.isnan(restored.pixels_HWC[:, : 2 * scale]).all()
    assert (restored.pixels_HWC[:, 2 * scale :] == 0.5).all()


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "float32"])
def test_a_large_image_is_stored_strip_by_strip_to_the_same_bits(dtype, monkeypatch):
    domain = Domain.of_integers(dtype) if dtype != "float32" else Domain(dtype, -3.0, 5.0)
    image_BCHW = torch.randn(2, 3, 23, 17, generator=torch.Generator().manual_seed(1)) + 0.5
    valid_B1HW = torch.rand(2, 1, 23, 17, generator=torch.Generator().manual_seed(2)) > 0.3
    at_once = *quantised(image_BCHW, domain, valid_B1HW), to_stored(image_BCHW, domain)
    for strip in (1, 2 * 3 * 17 * 5, 1000):
        monkeypatch.setattr(radiometry, "_STRIP", strip)
        in_strips = *quantised(image_BCHW, domain, valid_B1HW), to_stored(image_BCHW, domain)
        for one, other in zip(at_once, in_strips, strict=True):
            np.testing.assert_array_equal(one, other)
    own_BCHW = image_BCHW.clone()
    for one, other in zip(at_once, quantised(own_BCHW, domain, valid_B1HW, in_place=True), strict=False):
        np.testing.assert_array_equal(one, other)
    assert torch.equal(own_BCHW, at_once[0])
