"""GeoTIFF: what a raster says besides its pixels, before and after; Debian's GDAL and rio-cogeo judge."""

import re
import shutil
import subprocess
from ast import literal_eval
from functools import cache

import numpy as np
import pytest
import tifffile

from pipeline.errors import ImageError
from pipeline.formats import decode, encode
from pipeline.formats.geotiff.format import RASTER_HEADER
from tests.geotiff_referees import (
    complaints,
    described,
    gdalcompare,
    gdalcompare_script,
    gdalinfo,
    gdaltransform,
)
from tests.geotiff_samples import NAMES, RATIONAL, TAGS, geotiff, ground, restored, source

rasterio = pytest.importorskip("rasterio", reason="restora[geo] is not installed")
pytestmark = [
    pytest.mark.skipif(not shutil.which("gdalinfo"), reason="Debian's gdal-bin is not installed"),
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),
]


def files(folder, name, factor=1):
    """The source, and what was made of it, on disk."""
    before, after = folder / "before.tif", folder / "after.tif"
    before.write_bytes(source(name))
    after.write_bytes(encode(restored(decode(source(name)), factor)))
    return before, after


@pytest.mark.skipif(not gdalcompare_script(), reason="Debian's python3-gdal is not installed")
@pytest.mark.parametrize("name", NAMES)
def test_identity_changes_our_tags_and_nothing_else(tmp_path, name):
    before, after = files(tmp_path, name)
    assert complaints(after) == []
    found = gdalcompare(before, after).splitlines()
    # Statistics are of the old pixels, overviews are made anew, and to the script NaN is not NaN.
    ours = [
        r"Files differ at the binary level\.", r"Differences Found: \d+", r"",
        r"Difference in (Dataset|Band \d) metadata key count", r"  (Golden|New) Keys: .*",
        r'New Band \d metadata lacks key "STATISTICS_\w+"',
        r"Band \d overview count difference:", r"  Golden: [1-9]", r"  New:    0",
    ]  # fmt: skip
    if name == "nan":
        ours += [r"Band \d nodata values differ\.", r"  (Golden|New): +nan"]
    assert [line for line in found if not any(re.fullmatch(each, line) for each in ours)] == []
    at = found.index("Difference in Dataset metadata key count")
    golden, new = (literal_eval(found[at + line].split(":", 1)[1].strip()) for line in (1, 2))
    assert sorted(new) == sorted([*golden, *TAGS])


@pytest.fixture(scope="module")
def said_of_source(tmp_path_factory):
    """What ``gdalinfo`` says of a source, asked once for all sizes."""
    folder = tmp_path_factory.mktemp("sources")

    @cache
    def said(name):
        (folder / "source.tif").write_bytes(source(name))
        return gdalinfo(folder / "source.tif")

    return said


# At its own size GDAL compares all of it with the source, above.
@pytest.mark.parametrize(("name", "factor"), [*((name, 2) for name in NAMES), ("landsat", 3), ("rotated", 3)])
def test_all_that_is_said_of_a_raster_is_said_of_it_at_every_size(tmp_path, said_of_source, name, factor):
    _, after = files(tmp_path, name, factor)
    assert complaints(after) == []
    old, new = said_of_source(name), gdalinfo(after)
    assert described(new) == described(old)
    assert new["size"] == [factor * length for length in old["size"]]
    assert TAGS.items() <= new["metadata"][""].items()
    if "geoTransform" in old:
        for corner, place in old["cornerCoordinates"].items():
            np.testing.assert_allclose(new["cornerCoordinates"][corner], place, rtol=1e-9, err_msg=corner)


@pytest.mark.parametrize("name", NAMES)
def test_pixels_and_masks_are_those_of_the_source(tmp_path, name):
    before, after = files(tmp_path, name, 2)
    with rasterio.open(before) as old, rasterio.open(after) as new:
        np.testing.assert_array_equal(new.read(), old.read().repeat(2, 1).repeat(2, 2))
        np.testing.assert_array_equal(new.read_masks(), old.read_masks().repeat(2, 1).repeat(2, 2))


@pytest.mark.parametrize(("name", "method"), [("control-points", "-tps"), ("rotated", "")])
def test_every_place_in_the_image_stays_where_it_was_on_the_ground(tmp_path, name, method):
    before, after = files(tmp_path, name, 4)
    places = [(0.5, 0.5), (10.25, 40.75), (80.5, 3.0), (40.0, 25.0)]
    there = gdaltransform(before, method, places)
    assert np.ptp(there[:, 0]) > 1e-3, "the transform does something"
    enlarged = [(4 * column, 4 * row) for column, row in places]
    np.testing.assert_allclose(gdaltransform(after, method, enlarged), there, rtol=1e-12)


def test_every_place_on_the_ground_stays_where_it_was_in_an_image_with_rational_polynomials(tmp_path):
    before, after = files(tmp_path, "rational", 4)
    places = [(11.3365, 44.4321), (11.28, 44.48), (11.40, 44.39)]
    there = gdaltransform(before, "-i -rpc", places)[:, :2]
    assert np.ptp(there, axis=0).min() > 20, "the places are all over the image"
    np.testing.assert_allclose(gdaltransform(after, "-i -rpc", places)[:, :2], 4 * there, atol=1e-6)


def test_rational_polynomials_by_hand():
    header = decode(encode(restored(decode(source("rational")), 4))).metadata.entries[RASTER_HEADER]
    # The first pixel's centre, 0, becomes 1.5 where four pixels stand for one.
    assert float(header.rational["LINE_OFF"]) == 4 * 24.25 + 1.5
    assert float(header.rational["SAMP_OFF"]) == 4 * 39.75 + 1.5
    assert float(header.rational["LINE_SCALE"]) == 4 * 24.5
    assert float(header.rational["HEIGHT_OFF"]) == float(RATIONAL["HEIGHT_OFF"])


def test_a_cut_and_a_shrunk_raster_keep_their_upper_left_corner():
    image = decode(source("rotated"))
    old = image.metadata.entries[RASTER_HEADER].transform
    cut = image.cropped(48, 80)
    for made, factor in [(cut, 1), (cut.with_pixels(cut.pixels_HWC[::4, ::4]), 4)]:
        new = decode(encode(made)).metadata.entries[RASTER_HEADER].transform
        assert (new[0], new[3]) == (old[0], old[3])
        np.testing.assert_allclose(np.delete(new, [0, 3]), factor * np.delete(old, [0, 3]), rtol=1e-15)


def test_a_size_that_fits_no_whole_factor_is_refused():
    image = decode(source("rotated"))
    with pytest.raises(ImageError) as refusal:
        encode(image.with_pixels(np.zeros((75, 120, 1), np.uint8)))
    assert refusal.value.reason == "BAD_GEOMETRY"


def test_the_epoch_of_the_coordinates_is_kept(tmp_path):
    plain, before, after = tmp_path / "plain.tif", tmp_path / "before.tif", tmp_path / "after.tif"
    plain.write_bytes(source("rotated"))
    options = ["-q", "-a_srs", "EPSG:9000", "-a_coord_epoch", "2021.25"]
    subprocess.run(["gdal_translate", *options, plain, before], check=True)
    after.write_bytes(encode(decode(before.read_bytes())))
    for path in (before, after):
        said = subprocess.run(["gdalinfo", path], capture_output=True, text=True, check=True).stdout
        assert "Coordinate epoch: 2021.25" in said


def test_nodata_that_no_sample_can_have_and_texts_in_latin_1_are_kept(tmp_path):
    artist = "Müller".encode("latin-1") + b"\0"
    before, after = tmp_path / "before.tif", tmp_path / "after.tif"
    tags = [(315, 2, len(artist), artist, True), (42113, 2, 0, "-9999", True)]
    tifffile.imwrite(before, ground(1)[0], extratags=tags, metadata=None)
    after.write_bytes(encode(decode(before.read_bytes())))
    new = gdalinfo(after)
    assert new["metadata"][""]["TIFFTAG_ARTIST"] == "Müller"
    assert new["bands"][0]["noDataValue"] == gdalinfo(before)["bands"][0]["noDataValue"] == -9999


def test_overviews_are_averages_and_masks_stay_masks(tmp_path):
    samples_CHW = np.tile(ground(1, "uint16", 50, 80), (1, 16, 8))
    mask_HW = np.full(samples_CHW.shape[1:], 255, np.uint8)
    mask_HW[100:301, 50:] = 0
    path = tmp_path / "large.tif"
    path.write_bytes(encode(decode(geotiff(samples_CHW, mask=mask_HW))))
    assert complaints(path) == []
    with rasterio.open(path) as whole:
        assert whole.overviews(1) == [2]
    with rasterio.open(path, overview_level=0) as half:
        valid_HW = half.read_masks(1)
        assert set(np.unique(valid_HW)) == {0, 255}
        inside_HW = (mask_HW.reshape(400, 2, 320, 2) > 0).all((1, 3))
        means_HW = samples_CHW[0].reshape(400, 2, 320, 2).mean((1, 3))
        np.testing.assert_allclose(half.read(1)[inside_HW], means_HW[inside_HW], atol=0.5)
