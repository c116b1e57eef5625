"""Whole runs over folders of rasters."""

import numpy as np
import pytest
from scipy import ndimage

from pipeline.formats import decode
from tests.geotiff_referees import complaints
from tests.geotiff_samples import geotiff, ground, rasters, source
from tests.helpers import benchmark, complete, fill, restore

rasterio = pytest.importorskip("rasterio", reason="restora[geo] is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def test_a_folder_of_rasters_comes_back_as_it_was(tmp_path):
    names = ("physical", "negative", "nan", "alpha", "masked", "rational")
    fill(tmp_path / "in", {f"{name}.tif": rasters()[name] for name in names})
    rows = complete(restore(tmp_path / "in", tmp_path / "out", restorers=["identity"]))
    assert {row["key"]: row["status"] for row in rows} == {f"{name}.tif": "ok" for name in names}
    for row in rows:
        before, after = tmp_path / "in" / row["key"], tmp_path / "out" / row["key"]
        assert complaints(after) == []
        with rasterio.open(before) as old, rasterio.open(after) as new:
            np.testing.assert_array_equal(new.read(), old.read(), err_msg=row["key"])
            np.testing.assert_array_equal(new.read_masks(), old.read_masks())
            assert (new.transform, new.crs) == (old.transform, old.crs)
            tags = new.tags()
        assert tags["RESTORE_MODEL"] == "identity"
        assert tags["RESTORE_CONFIG_SHA256"] == row["recipe_id"]
        assert tags["RESTORE_SOURCE_SHA256"] == row["source_sha256"]
        assert tags["RESTORE_SHA256"] == row["restorer_sha256"]
        assert (row["nodata_share"] > 0) == (decode(before.read_bytes()).valid_HW is not None)


def test_a_median_of_valid_pixels_is_not_pulled_towards_nodata(tmp_path):
    fill(tmp_path / "in", {"negative.tif": rasters()["negative"]})
    complete(restore(tmp_path / "in", tmp_path / "out"))
    before = decode((tmp_path / "in" / "negative.tif").read_bytes())
    after = decode((tmp_path / "out" / "negative.tif").read_bytes())
    valid_HW = before.valid_HW
    np.testing.assert_array_equal(after.valid_HW, valid_HW)
    np.testing.assert_array_equal(after.pixels_HWC[~valid_HW], before.pixels_HWC[~valid_HW])
    # Far from the holes it is the median that SciPy computes; near them still of the scene's own values.
    far_HW = np.zeros_like(valid_HW)
    far_HW[3:-3, 3:-3] = ~ndimage.binary_dilation(~valid_HW, iterations=3)[3:-3, 3:-3]
    for band in range(2):
        old_HW, new_HW = before.pixels_HWC[:, :, band], after.pixels_HWC[:, :, band]
        np.testing.assert_allclose(new_HW[far_HW], ndimage.median_filter(old_HW, 3)[far_HW], atol=1)
        assert (new_HW[far_HW] != old_HW[far_HW]).any()
        assert new_HW[valid_HW].min() >= old_HW[valid_HW].min()


def test_a_raster_twice_as_fine_lies_on_the_same_ground(tmp_path):
    fill(tmp_path / "in", {"scene.tif": source("landsat"), "negative.tif": rasters()["negative"]})
    rows = complete(restore(tmp_path / "in", tmp_path / "out", restorers=["bicubic-x2"]))
    assert {row["status"] for row in rows} == {"ok"}
    for row in rows:
        assert complaints(tmp_path / "out" / row["key"]) == []
        old, new = (rasterio.open(tmp_path / folder / row["key"]) for folder in ("in", "out"))
        with old, new:
            assert new.shape == (2 * old.height, 2 * old.width)
            np.testing.assert_allclose(new.bounds, old.bounds, rtol=1e-12)
            np.testing.assert_array_equal(new.read_masks(), old.read_masks().repeat(2, 1).repeat(2, 2))
            # What was made of a pixel is on the average that pixel: nothing has moved on the ground.
            shrunk_CHW = new.read().reshape(old.count, old.height, 2, old.width, 2).mean((2, 4))
            valid_CHW, samples_CHW = old.read_masks() > 0, old.read().astype(float)
            error = np.abs(shrunk_CHW - samples_CHW)[valid_CHW].mean()
            moved = np.abs(np.roll(samples_CHW, 1, 2) - samples_CHW)[valid_CHW].mean()
            assert error < moved / 4


def test_a_benchmark_on_a_scene_writes_rasters_where_it_is_asked_to(tmp_path):
    fill(tmp_path / "in", {"scene.tif": geotiff(ground(4, "uint16"))})
    (row,) = complete(
        benchmark(
            tmp_path / "in",
            tmp_path / "out",
            degradations=["bicubic-x4"],
            restorers=["bicubic"],
            save="all",
            output_format="geotiff",
        )
    )
    assert row["status"] == "ok"
    with rasterio.open(tmp_path / "in" / "scene.tif") as scene:
        corner = (scene.transform.c, scene.transform.f)
    for column, shape, step in [("output_uri", (48, 80), 30), ("degraded_uri", (12, 20), 120)]:
        with rasterio.open(row[column]) as made:
            assert made.shape == shape
            assert (made.transform.a, made.transform.e) == (step, -step)
            assert (made.transform.c, made.transform.f) == corner


def test_bad_rasters_are_quarantined_and_the_others_done(tmp_path):
    good = rasters()["deflate-planes"]
    broken = good[: len(good) * 3 // 4] + bytes(64) + good[len(good) * 3 // 4 + 64 :]
    files = {
        "good.tif": good,
        "cut.tif": good[: len(good) // 2],
        "broken.tif": broken,
        "empty.tif": geotiff(np.zeros((1, 20, 20), np.uint8), nodata=0),
        "wide.tif": geotiff(ground(1).astype(np.float64)),
    }
    fill(tmp_path / "in", files)
    rows = complete(restore(tmp_path / "in", tmp_path / "out"))
    assert {row["key"]: row["reason"] for row in rows} == {
        "good.tif": None,
        "cut.tif": "TRUNCATED",
        "broken.tif": "UNREADABLE",
        "empty.tif": "ALL_NODATA",
        "wide.tif": "UNSUPPORTED_DTYPE",
    }
