"""Pairs that fit and that do not: sizes, channels, masks, and ranges that mean different values."""

import numpy as np
import pytest
import torch

from pipeline.degradation.degradation import as_found
from pipeline.errors import ImageError
from pipeline.imaging.image import Domain, Image, Metadata
from pipeline.processing.cases import Case
from pipeline.processing.pairs import counted, in_reference_range, scale_of, where_clear

BYTES = Domain.of_integers("uint8")


def image(height: int, width: int, channels: int = 1, domain: Domain = BYTES, valid=None) -> Image:
    return Image(np.zeros((height, width, channels), domain.dtype), domain, Metadata("png"), valid_HW=valid)


@pytest.mark.parametrize(("size", "reference", "scale"), [
    ((8, 6), (8, 6), 1), ((8, 6), (16, 12), 2), ((8, 6), (17, 12), 2), ((8, 6), (35, 27), 4),
    ((170, 170), (512, 512), 3), ((1, 1), (4, 4), 4),
])  # fmt: skip
def test_the_scale_follows_from_the_sizes(size, reference, scale):
    assert scale_of(image(*size), image(*reference)) == scale


@pytest.mark.parametrize(("size", "reference"), [
    ((8, 6), (9, 6)), ((8, 6), (6, 8)), ((8, 6), (16, 24)), ((8, 6), (4, 3)), ((171, 171), (512, 512)),
])  # fmt: skip
def test_sizes_that_are_no_whole_multiple_are_refused(size, reference):
    with pytest.raises(ImageError) as error:
        scale_of(image(*size), image(*reference))
    assert error.value.reason == "REFERENCE_SIZE"


def test_channels_have_to_be_as_many():
    with pytest.raises(ImageError, match="3 channels, its reference has 1") as error:
        scale_of(image(8, 8, 3), image(8, 8))
    assert error.value.reason == "REFERENCE_BANDS"


def test_what_counts_is_valid_in_both_and_clear():
    holds, true = np.ones((2, 3), bool), np.ones((5, 6), bool)
    holds[0, 0], true[3, 5] = False, False
    clear = image(5, 6)
    clear.pixels_HWC[:] = 9
    clear.pixels_HWC[2, 0] = 0
    found = counted(image(2, 3, valid=holds), where_clear(image(5, 6, valid=true), clear), 2)
    expected = np.ones((4, 6), bool)
    expected[:2, :2] = expected[3, 5] = expected[2, 0] = False
    assert np.array_equal(found.valid_HW, expected)
    assert counted(image(2, 3), where_clear(image(4, 6), None), 2).valid_HW is None
    with pytest.raises(ImageError, match="the mask has 4 x 6 pixels"):
        where_clear(image(5, 6), image(4, 6))


CT = Domain("uint16", 0.0, 4095.0, scales=(1.0,), offsets=(-1024.0,), rule="header")
BANDS = Domain("uint16", 0.0, 10_000.0, scales=(1e-4, 2e-4), offsets=(0.0, -0.1), rule="header")


@pytest.mark.parametrize(("own", "its", "factor", "offset"), [
    (BYTES, Domain.of_integers("uint16"), 1.0, 0.0), (CT, CT, 1.0, 0.0), (BYTES, CT, 1.0, 0.0),
    (CT, Domain("int16", -1024.0, 3071.0, scales=(1.0,), offsets=(0.0,), rule="header"), 1.0, 0.0),
    (CT, Domain("int16", 0.0, 1000.0, scales=(1.0,), offsets=(0.0,), rule="header"), 4.095, -1.024),
    (Domain("float32", 0.0, 2.0, rule="volume"), Domain("float32", 0.0, 4.0, rule="volume"), 0.5, 0.0),
    (BANDS, Domain("float32", 0.0, 1.0, scales=(1.0,), offsets=(0.0,), rule="job"), (1.0, 2.0), (0.0, -0.1)),
])  # fmt: skip
def test_a_range_that_means_other_values_is_that_of_the_reference(own, its, factor, offset):
    values = torch.rand(1, 2, 3, 4, generator=torch.Generator().manual_seed(0))
    case = Case(None, image(3, 4, 2, its), values, as_found(values), {}, found=image(3, 4, 2, own))
    by_band = (torch.tensor(each).expand(2)[:, None, None] for each in (factor, offset))
    expected = values * next(by_band) + next(by_band)
    torch.testing.assert_close(
        in_reference_range(values, case.found, case.reference), expected, rtol=1e-6, atol=1e-6
    )
