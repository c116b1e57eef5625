"""GeoTIFF: what a raster says besides its pixels, before and after; Debian's GDAL and rio-cogeo judge."""

import pickle
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from pipeline.errors import ImageError
from pipeline.formats import FORMATS, Limits, decode, encode
from pipeline.formats.geotiff import HEADER
from pipeline.image import Image, Provenance
from tests.geotiff_samples import (
    ELEVATION,
    LANDSAT,
    RATIONAL,
    complaints,
    gdalcompare,
    gdalcompare_script,
    gdalinfo,
    gdaltransform,
    geotiff,
    ground,
    rasters,
)

rasterio = pytest.importorskip("rasterio", reason="restora[geo] is not installed")
pytestmark = [
    pytest.mark.skipif(not shutil.which("gdalinfo"), reason="Debian's gdal-bin is not installed"),
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),
]
REAL = {"landsat": LANDSAT, "elevation": ELEVATION}
NAMES = [*rasters(), *REAL]
MADE = Provenance("some-model", "a" * 64, "b" * 64, "c" * 64, "0.1.0")
TAGS = {
    "RESTORE_MODEL": "some-model",
    "RESTORE_SHA256": "a" * 64,
    "RESTORE_CONFIG_SHA256": "b" * 64,
    "RESTORE_SOURCE_SHA256": "c" * 64,
    "RESTORE_VERSION": "0.1.0",
}


def source(name: str) -> bytes:
    if name not in REAL:
        return rasters()[name]
    if not REAL[name].exists():
        pytest.skip("Debian's r-cran-stars is not installed")
    return REAL[name].read_bytes()


def restored(image: Image, factor: int = 1) -> Image:
    """What a restorer of this scale makes that changes nothing, with the record of a run."""
    enlarged_HWC = image.pixels_HWC.repeat(factor, 0).repeat(factor, 1)
    return replace(image.with_pixels(enlarged_HWC), metadata=replace(image.metadata, provenance=MADE))


def files(folder, name, factor=1):
    """The source, and what was made of it, on disk."""
    before, after = folder / "before.tif", folder / "after.tif"
    before.write_bytes(source(name))
    after.write_bytes(encode(restored(decode(source(name)), factor)))
    return before, after


def described(path) -> dict:
    """What must be the same at every size."""
    info = gdalinfo(path)
    metadata = {
        k: v for k, v in info["metadata"].items() if k not in ("IMAGE_STRUCTURE", "DERIVED_SUBDATASETS")
    }
    metadata[""] = {k: v for k, v in metadata.get("", {}).items() if not k.startswith("RESTORE_")}
    metadata["RPC"] = {
        k: v for k, v in metadata.get("RPC", {}).items() if not re.match("(LINE|SAMP)_(OFF|SC)", k)
    }
    kept = (
        "description",
        "unit",
        "scale",
        "offset",
        "noDataValue",
        "colorInterpretation",
        "type",
        "metadata",
    )
    bands = [{key: band.get(key) for key in kept} for band in info["bands"]]
    for band in bands:
        tags = dict((band["metadata"] or {}).get("", {}))
        band["tags"] = {key: value for key, value in tags.items() if not key.startswith("STATISTICS_")}
        band["domains"] = {k: v for k, v in (band.pop("metadata") or {}).items() if k != ""}
        band["noDataValue"] = repr(band["noDataValue"])
    masks = [band.get("mask", {}).get("flags") for band in info["bands"]]
    crs, points = info.get("coordinateSystem"), info.get("gcps", {})
    ground_of_points = [(p["x"], p["y"], p["z"]) for p in points.get("gcpList", [])]
    return {
        "metadata": metadata, "bands": bands, "masks": masks, "crs": crs,
        "points": ground_of_points, "points_crs": points.get("coordinateSystem"),
    }  # fmt: skip


@pytest.mark.skipif(not gdalcompare_script(), reason="Debian's python3-gdal is not installed")
@pytest.mark.parametrize("name", NAMES)
def test_identity_changes_our_tags_and_nothing_else(tmp_path, name):
    before, after = files(tmp_path, name)
    found = gdalcompare(before, after).splitlines()
    ours = [
        r"Files differ at the binary level.", r"Difference in Dataset metadata key count", r"\s+(Golden|New) Keys: .*",
        r'New Dataset metadata has extra key "RESTORE_\w+"', r"Differences Found: \d+", "",
        # Statistics are of the old pixels, overviews are made anew, and to the script NaN is not NaN.
        r"Difference in Band \d metadata key count", r'New Band \d metadata lacks key "STATISTICS_\w+"',
        r"Band \d overview count difference:", r"\s+(Golden|New): +(\d|nan)",
    ]  # fmt: skip
    ours += [r"Band \d nodata values differ."] * (name == "nan")
    assert found, "the script said nothing"
    assert [line for line in found if not any(re.fullmatch(each, line) for each in ours)] == []
    assert sum("RESTORE_" in line and "extra key" in line for line in found) == len(TAGS)


@pytest.mark.parametrize("factor", [1, 2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_all_that_is_said_of_the_raster_is_said_of_every_size(tmp_path, name, factor):
    before, after = files(tmp_path, name, factor)
    assert complaints(after) == []
    assert described(after) == described(before)
    old, new = gdalinfo(before), gdalinfo(after)
    assert new["size"] == [factor * length for length in old["size"]]
    assert TAGS.items() <= new["metadata"][""].items()
    if "geoTransform" in old:
        for corner, place in old["cornerCoordinates"].items():
            np.testing.assert_allclose(new["cornerCoordinates"][corner], place, rtol=1e-9, err_msg=corner)


def test_pixels_and_masks_are_those_of_the_source(tmp_path):
    for name in NAMES:
        before, after = files(tmp_path, name, 2)
        with rasterio.open(before) as old, rasterio.open(after) as new:
            np.testing.assert_array_equal(new.read(), old.read().repeat(2, 1).repeat(2, 2), err_msg=name)
            masks = old.read_masks().repeat(2, 1).repeat(2, 2)
            np.testing.assert_array_equal(new.read_masks(), masks, err_msg=name)


@pytest.mark.parametrize(
    ("name", "method"), [("rational", "-rpc"), ("control-points", "-tps"), ("rotated", "-order")]
)
def test_every_place_in_the_image_stays_where_it_was_on_the_ground(tmp_path, name, method):
    before, after = files(tmp_path, name, 4)
    method = {"-order": "-s_srs"}.get(method, method)
    places = [(0.5, 0.5), (10.25, 40.75), (80.5, 3.0), (40.0, 25.0)]
    enlarged = [(4 * column, 4 * row) for column, row in places]
    if name == "rotated":
        with rasterio.open(before) as old, rasterio.open(after) as new:
            there = [old.transform @ np.array([*p, 1]) if False else old.transform * p for p in places]
            np.testing.assert_allclose([new.transform * p for p in enlarged], there, rtol=1e-12)
        return
    there = gdaltransform(before, method, places)
    assert np.ptp(there[:, 0]) > 1e-3, "the transform does something"
    np.testing.assert_allclose(gdaltransform(after, method, enlarged), there, rtol=0, atol=1e-9)


def test_rational_polynomials_by_hand():
    header = decode(encode(restored(decode(source("rational")), 4))).metadata.entries[HEADER]
    # The first pixel's centre, 0, becomes 1.5 where four pixels stand for one.
    assert float(header.rational["LINE_OFF"]) == 4 * 24.25 + 1.5
    assert float(header.rational["SAMP_OFF"]) == 4 * 39.75 + 1.5
    assert float(header.rational["LINE_SCALE"]) == 4 * 24.5
    assert float(header.rational["HEIGHT_OFF"]) == float(RATIONAL["HEIGHT_OFF"])


def test_a_cut_and_a_shrunk_raster_keep_their_upper_left_corner():
    image = decode(source("rotated"))
    old = image.metadata.entries[HEADER].transform
    for made, factor in [
        (image.cropped(48, 80), 1),
        (image.cropped(48, 80).with_pixels(image.pixels_HWC[:48:4, :80:4]), 4),
    ]:
        new = decode(encode(made)).metadata.entries[HEADER].transform
        assert (new[0], new[3]) == (old[0], old[3])
        np.testing.assert_allclose(np.delete(new, [0, 3]), factor * np.delete(old, [0, 3]), rtol=1e-15)


def test_a_size_that_fits_no_whole_factor_is_refused():
    image = decode(source("rotated"))
    with pytest.raises(ImageError) as refusal:
        encode(image.with_pixels(np.zeros((75, 120, 1), np.uint8)))
    assert refusal.value.reason == "BAD_GEOMETRY"


@pytest.mark.parametrize("name", NAMES)
def test_the_same_image_gives_the_same_bytes_also_after_a_journey(name):
    image = decode(source(name))
    assert image.metadata.format == "geotiff"
    written = encode(image)
    assert encode(pickle.loads(pickle.dumps(image))) == written
    again = decode(written)
    np.testing.assert_array_equal(again.pixels_HWC, image.pixels_HWC)
    np.testing.assert_array_equal(again.valid_HW, image.valid_HW)
    if name != "12-bit":
        assert again.domain == image.domain
        assert again.metadata == image.metadata
        assert encode(again) == written


def test_physical_values_come_from_the_header():
    domain = decode(source("physical")).domain
    assert (domain.scales, domain.offsets, domain.unit) == ((0.0001, 2.75e-05), (-0.1, -0.2), "")
    assert (domain.low, domain.high, domain.rule) == (0, 65535, "dtype")
    plain = decode(source("negative")).domain
    assert (plain.scales, plain.dtype, plain.low, plain.high) == ((), "int16", -32768, 32767)
    bits = decode(source("12-bit")).domain
    assert (bits.high, bits.storable, bits.rule) == (4095, (0, 4095), "header")


def test_one_unit_of_all_bands_is_the_unit_of_the_image():
    data = geotiff(ground(2, "int16"), lambda dataset: setattr(dataset, "units", ("K", "K")))
    assert decode(data).domain.unit == "K"


def test_overviews_are_averages_and_masks_stay_masks(tmp_path):
    samples_CHW = ground(1, "uint16", 380, 340).repeat(2, 1).repeat(2, 2)
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
        inside_HW = (mask_HW.reshape(380, 2, 340, 2) > 0).all((1, 3))
        means_HW = samples_CHW[0].reshape(380, 2, 340, 2).mean((1, 3))
        np.testing.assert_array_equal(half.read(1)[inside_HW], means_HW[inside_HW])


def test_tags_of_an_earlier_run_are_replaced():
    twice = restored(decode(encode(restored(decode(source("tagged"))))))
    other = replace(MADE, restorer="another")
    written = decode(encode(replace(twice, metadata=replace(twice.metadata, provenance=other))))
    assert written.metadata.entries[HEADER].tags[""]["RESTORE_MODEL"] == "another"
    assert written.metadata.entries[HEADER].tags["PROVIDER"] == {"PRODUCT": "L2A", "BASELINE": "04.00"}


def test_what_does_not_fit_is_refused_with_a_cure():
    image = decode(source("physical"))
    for pixels_HWC in (image.pixels_HWC[:, :, :1], image.pixels_HWC.astype(np.uint32)):
        changed = replace(
            image, pixels_HWC=pixels_HWC, domain=replace(image.domain, dtype=pixels_HWC.dtype.name)
        )
        with pytest.raises(ImageError, match=r"(?s)holds .* not .*; ") as refusal:
            encode(changed)
        assert refusal.value.reason == "UNENCODABLE"


def test_epochs_odd_nodata_and_latin_1_are_kept(tmp_path):
    """What rasterio's own calls would lose."""
    path = tmp_path / "odd.tif"
    with rasterio.open(path, "w", driver="GTiff", width=81, height=50, count=1, dtype="uint8") as dataset:
        dataset.write(ground(1))
    options = [
        "-a_srs",
        "EPSG:9000",
        "-a_coord_epoch",
        "2021.25",
        "-a_ullr",
        "10",
        "50",
        "18.1",
        "45",
        "-a_nodata",
        "-9999",
    ]
    import subprocess

    subprocess.run(["gdal_translate", "-q", *options, str(path), str(tmp_path / "in.tif")], check=True)
    before = gdalinfo(tmp_path / "in.tif")
    path.write_bytes(encode(decode((tmp_path / "in.tif").read_bytes())))
    after = gdalinfo(path)
    assert before["coordinateSystem"]["coordinateEpoch"] == 2021.25
    assert after["coordinateSystem"] == before["coordinateSystem"]
    assert after["bands"][0]["noDataValue"] == before["bands"][0]["noDataValue"] == -9999


def test_the_limits_of_the_job_hold_before_gdal_sees_the_file():
    with pytest.raises(ImageError) as refusal:
        FORMATS["geotiff"].decode(source("north-up"), Limits(max_pixels=81 * 49))
    assert refusal.value.reason == "TOO_LARGE"
