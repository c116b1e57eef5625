"""Nodata as GDAL sees it: its own mask is the referee."""

import numpy as np
import pytest
from rasterio.io import MemoryFile

from pipeline.formats import decode, encode
from pipeline.formats.nodata import beside_nodata, is_nodata
from tests.geotiff_samples import geotiff

LOWEST = float(np.finfo(np.float32).min)
VALUES = ["-3.4e38", "-3.4028235e+38", "-3.40282306074e+38", "-9999", "1e20", "0", "0.1", "3.4e38"]


def gdal_mask(data: bytes) -> np.ndarray:
    with MemoryFile(data) as file, file.open() as raster:
        return raster.read_masks(1) > 0


def raster_of(samples_HW: np.ndarray, nodata: str) -> bytes:
    return geotiff(samples_HW[None], nodata=float(nodata))


def near(value: np.float32) -> np.ndarray:
    """8 x 8 samples: the value, its neighbours, and what is far away."""
    steps = np.arange(-16, 16, dtype=np.int32)
    around = (np.asarray(value).view(np.int32) + steps).view(np.float32)
    far = np.float32([LOWEST, -LOWEST, LOWEST / 2, LOWEST / 3, -1e37, 1e37, 0, 1, -1, 0.5, 255, 1e-30])
    samples = np.concatenate([around, far, np.linspace(-2, 2, 20, dtype=np.float32)])
    return samples[np.isfinite(samples)]


@pytest.mark.parametrize("nodata", VALUES)
def test_floats_are_compared_as_gdal_compares_them(nodata):
    samples_HW = np.resize(near(np.float32(nodata)), (8, 8)).astype(np.float32)
    data = raster_of(samples_HW, nodata)
    image = decode(data)
    valid_HW = np.ones((8, 8), bool) if image.valid_HW is None else image.valid_HW
    np.testing.assert_array_equal(valid_HW, gdal_mask(data))


@pytest.mark.parametrize("nodata", VALUES)
def test_a_restored_value_is_never_taken_for_no_data(nodata):
    value = np.float32(nodata)
    beside = beside_nodata(value, (LOWEST, -LOWEST))
    assert not is_nodata(np.asarray([beside]), value)[0]
    samples_HW = np.zeros((8, 8), np.float32) + np.float32(0.25)
    samples_HW[0, 0] = value
    image = decode(raster_of(samples_HW, nodata))
    restored = image.with_pixels(np.full((8, 8, 1), value, np.float32))
    written = encode(restored)
    expected = np.ones((8, 8), bool)
    expected[0, 0] = False
    np.testing.assert_array_equal(gdal_mask(written), expected)


def test_whole_numbers_are_compared_exactly():
    samples = np.asarray([254, 255, 0], np.uint8)
    assert is_nodata(samples, np.uint8(255)).tolist() == [False, True, False]
    assert beside_nodata(np.uint8(255), (0.0, 255.0)) == 254
    assert beside_nodata(np.uint8(0), (0.0, 255.0)) == 1
