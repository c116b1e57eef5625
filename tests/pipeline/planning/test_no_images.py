"""What stands beside a raster is none, whatever its bytes: GDAL's masks and overviews are TIFF files."""

import pytest

from pipeline.planning.no_images import is_no_image
from tests.bad_images import GREY, tiff
from tests.helpers import complete, fill, restore


@pytest.mark.parametrize(
    "name", ["a.tif.msk", "a.tif.ovr", "a.rrd", "a.tif.aux.xml", "a.aux", "a.RPB", "a.IMD", "a.tfw"]
)
def test_a_side_file_is_no_image(name):
    assert is_no_image(name)
    assert not is_no_image(name.partition(".")[0] + ".tif")


def test_a_mask_beside_its_raster_is_not_restored(tmp_path):
    fill(tmp_path / "in", {"a.tif": tiff(GREY), "a.tif.msk": tiff(GREY)})
    rows = complete(restore(tmp_path / "in", tmp_path / "out"))
    assert [row["key"] for row in rows] == ["a.tif"]
    assert not (tmp_path / "out/a.tif.msk").exists()
