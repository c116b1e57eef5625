"""Zarr: what lies outside the valid range that CF and NUG describe is no measurement, netCDF's way."""

import numpy as np
import pytest

pytest.importorskip("zarr", reason="needs the extra zarr")

from pipeline.doors import open_archive
from pipeline.doors.zarr.valid_range import valid_of
from pipeline.formats import decode, encode
from pipeline.jobs.job import Dataset
from tests.door_contract import listed
from tests.helpers import complete, restore
from tests.zarr_samples import zarr

pytestmark = pytest.mark.filterwarnings("ignore:Consolidated metadata")
MODIS = {"_FillValue": -28672, "valid_range": [-100, 16000], "scale_factor": 0.0001, "add_offset": 0.0}


def array(path, told, values):
    made = zarr.create_array(path, data=values, chunks=(8, 8), dimension_names=("y", "x"))
    made.attrs.update(told)


def image_of(path):
    archive = open_archive(Dataset(name="cube", uri=str(path), store={"name": "zarr"}), str(path))
    return decode(archive.read(listed(archive)[0].at))


@pytest.mark.parametrize(
    ("told", "valid"),
    [
        ({"valid_range": [-100, 16000]}, (-100, 16000)),
        ({"valid_min": 0}, (0, np.inf)),
        ({"valid_max": 9.5}, (-np.inf, 9.5)),
        ({"valid_range": [-0.01, 1.6], "scale_factor": 0.0001}, (-100, 16000)),
        ({"valid_range": [-50.0, 0.0], "scale_factor": -0.5, "add_offset": -10.0}, (-20, 80)),
        ({"valid_max": 90.0, "scale_factor": -1.0}, (-90, np.inf)),
        ({"valid_range": [5, 5]}, None),
        ({"valid_range": [1, 2, 3]}, None),
        ({"valid_range": ["a", None]}, None),
        ({"valid_min": float("nan")}, None),
        ({}, None),
    ],
)
def test_the_range_is_counted_as_samples_are(told, valid):
    found = valid_of(told, is_whole=True, as_sample=float)
    assert found is valid is None or found == pytest.approx(valid)


@pytest.mark.parametrize("restorer", ["median", "bicubic-x2"])
def test_what_is_no_measurement_is_not_seen_and_comes_back(tmp_path, restorer):
    values = np.random.default_rng(0).integers(0, 9000, (24, 24)).astype(np.int16)
    values[3, 4], values[10:13, 8:12], values[20, 20] = -28672, 32766, -101  # fill, water, too dark
    array(tmp_path / "in.zarr/ndvi", MODIS, values)
    dataset = {"name": "cube", "uri": str(tmp_path / "in.zarr"), "store": {"name": "zarr"}}
    rows = complete(restore("", tmp_path / "out", datasets=[dataset], restorers=[restorer]))
    assert {row["status"] for row in rows} == {"ok"}
    made = zarr.open_array(tmp_path / "out/in.zarr/ndvi", mode="r")
    factor = made.shape[0] // 24
    holes = (values < -100) | (values > 16000)
    wide = holes.repeat(factor, 0).repeat(factor, 1)
    np.testing.assert_array_equal(made[...][wide], values.repeat(factor, 0).repeat(factor, 1)[wide])
    assert made[...][~wide].min() >= -100
    assert made[...][~wide].max() <= 9000 * 1.3  # nothing of what water is written as


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_no_restored_value_leaves_the_valid_range(tmp_path, dtype):
    values = np.full((8, 8), 50, dtype)
    values[0, 0] = -3
    array(tmp_path / "a.zarr", {"valid_range": [0, 100], "missing_value": 100}, values)
    image = image_of(tmp_path / "a.zarr")
    np.testing.assert_array_equal(image.valid_HW, values == 50)
    for restored, kept in ((-40, 0), (300, 99), (70, 70)):
        made = decode(encode(image.with_pixels(np.full((8, 8, 1), restored, dtype))))
        expected = np.where(values == 50, np.asarray(kept, dtype), values)
        np.testing.assert_allclose(made.pixels_HWC[:, :, 0], expected, atol=1.1 * (dtype == "float32"))
        assert made.pixels_HWC.max() < 100


def test_the_levels_of_a_pyramid_are_means_of_measurements():
    from pipeline.doors.zarr.finishing import means_of

    cells = np.array([[10, 20, 999, 999], [30, 999, 999, 999]], np.int16)
    means = means_of(cells, (1, 2), (2, 2), (), (0.0, 100.0))
    np.testing.assert_array_equal(means, [[20, 999]])
