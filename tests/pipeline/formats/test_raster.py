"""JPEG 2000 and NITF: read by the one driver, written as GeoTIFF."""

import numpy as np
import pytest

from pipeline.errors import ImageError
from pipeline.formats import decode, encode, format_of
from tests.geotiff_referees import complaints
from tests.geotiff_samples import geotiff, ground, rasters
from tests.helpers import complete, fill, restore

rasterio = pytest.importorskip("rasterio", reason="restora[geo] is not installed")
from tests.raster_samples import converted, jpeg2000  # noqa: E402 - which needs it

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


FILES = {
    "jp2": (jpeg2000, "north-up"),
    "j2k": (lambda data: converted(data, "JP2OpenJPEG", ".j2k", QUALITY="100", REVERSIBLE="YES"), "negative"),
    "ntf": (lambda data: converted(data, "NITF", ".ntf"), "physical"),
}


@pytest.mark.parametrize("kind", FILES)
def test_samples_and_georeference_go_into_a_geotiff(tmp_path, kind):
    make, name = FILES[kind]
    data = make(rasters()[name])
    assert format_of(data).name == "raster"
    path = tmp_path / "out.tif"
    path.write_bytes(encode(decode(data), "geotiff"))
    assert complaints(path) == []
    with rasterio.MemoryFile(data) as file, file.open() as old, rasterio.open(path) as new:
        np.testing.assert_array_equal(new.read(), old.read())
        assert new.crs == old.crs
        assert new.transform == old.transform
    with rasterio.MemoryFile(rasters()[name]) as file, file.open() as source:
        np.testing.assert_array_equal(decode(data).pixels_HWC, source.read().transpose(1, 2, 0))
    if kind == "jp2":
        assert decode(data).metadata.entries["geotiff_header"].crs


@pytest.mark.parametrize("kind", FILES)
def test_every_cut_is_refused(kind):
    make, name = FILES[kind]
    data = make(rasters()[name])
    for percent in range(5, 100, 5):
        with pytest.raises(ImageError) as refusal:
            decode(data[: len(data) * percent // 100])
        assert refusal.value.reason in {"UNREADABLE", "TRUNCATED"}, percent


def test_bits_bound_the_range():
    domain = decode(jpeg2000(geotiff(ground(1, "uint16") // 4, NBITS=12))).domain
    assert (domain.high, domain.storable, domain.rule) == (4095, (0, 4095), "header")


def test_a_run_wants_to_be_told_to_write_geotiff(tmp_path):
    fill(tmp_path / "in", {"scene.jp2": jpeg2000(rasters()["north-up"])})
    (row,) = complete(restore(tmp_path / "in", tmp_path / "refused", restorers=["identity"]))
    assert row["reason"] == "UNENCODABLE"
    assert "output_format geotiff" in row["message"]
    job = restore(tmp_path / "in", tmp_path / "out", restorers=["identity"], output_format="geotiff")
    (row,) = complete(job)
    assert row["output_uri"] == str(tmp_path / "out" / "scene.jp2.tif")
    with rasterio.open(row["output_uri"]) as new, rasterio.open(tmp_path / "in" / "scene.jp2") as old:
        np.testing.assert_array_equal(new.read(), old.read())
        assert (new.transform, new.crs) == (old.transform, old.crs)
