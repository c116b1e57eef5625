"""The pixels of a raster: what they mean, which of them hold data, and what they come back as."""

import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from pipeline.errors import ImageError
from pipeline.formats import FORMATS, decode, encode
from pipeline.formats.geotiff.format import RASTER_HEADER
from tests.geotiff_samples import MADE, NAMES, geotiff, ground, restored, source

rasterio = pytest.importorskip("rasterio", reason="restora[geo] is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
WITH_HOLES = {
    *("masked", "masked-float", "alpha", "negative", "nodata-zero"),
    *("nan", "nan-undeclared", "lowest-float"),
}


@pytest.mark.parametrize("name", NAMES)
def test_the_same_image_gives_the_same_bytes_also_after_a_journey(name):
    image = decode(source(name))
    assert image.metadata.format == "geotiff"
    written = encode(image)
    assert encode(pickle.loads(pickle.dumps(image))) == written
    again = decode(written)
    np.testing.assert_array_equal(again.pixels_HWC, image.pixels_HWC)
    np.testing.assert_array_equal(again.valid_HW, image.valid_HW)
    if name != "12-bit":  # which is written with whole bytes
        assert again.domain == image.domain
        assert again.metadata == image.metadata
        assert encode(again) == written


@pytest.mark.parametrize("name", NAMES)
def test_valid_pixels_are_those_that_gdal_calls_so_in_every_band(name):
    image = decode(source(name))
    with rasterio.MemoryFile(source(name)) as file, file.open() as raster:
        bands_CHW = raster.read(list(range(1, image.size[2] + 1)))
        masks_CHW = raster.read_masks(list(range(1, image.size[2] + 1)))
    expected_HW = (masks_CHW > 0).all(0) & np.isfinite(bands_CHW).all(0)
    np.testing.assert_array_equal(image.pixels_HWC, bands_CHW.transpose(1, 2, 0))
    if expected_HW.all():
        assert image.valid_HW is None
    else:
        np.testing.assert_array_equal(image.valid_HW, expected_HW)
    assert (image.valid_HW is not None) == (name in WITH_HOLES)


def test_opacity_is_kept_apart():
    image = decode(source("alpha"))
    assert image.size == (50, 81, 3)
    assert set(np.unique(image.alpha_HW)) == {0, 128, 255}
    np.testing.assert_array_equal(image.valid_HW, image.alpha_HW > 0)


def test_physical_values_come_from_the_header():
    domain = decode(source("physical")).domain
    assert (domain.scales, domain.offsets, domain.unit) == ((0.0001, 2.75e-05), (-0.1, -0.2), "")
    assert (domain.low, domain.high, domain.rule) == (0, 65535, "dtype")
    plain = decode(source("negative")).domain
    assert (plain.scales, plain.dtype, plain.low, plain.high) == ((), "int16", -32768, 32767)
    bits = decode(source("12-bit")).domain
    assert (bits.high, bits.storable, bits.rule) == (4095, (0, 4095), "header")
    floats = decode(source("masked-float")).domain
    assert (floats.dtype, floats.low, floats.high) == ("float32", 0, 1)


def test_one_unit_of_all_bands_is_the_unit_of_the_image():
    data = geotiff(ground(2, "int16"), lambda dataset: setattr(dataset, "units", ("K", "K")))
    assert decode(data).domain.unit == "K"


@pytest.mark.parametrize(
    ("name", "nodata", "instead"),
    [
        ("negative", -9999, -9998),
        ("nodata-zero", 0, 1),
        ("lowest-float", np.finfo(np.float32).min, 0),  # GDAL takes all that is nearly as low for no data
    ],
)
def test_a_pixel_that_became_the_nodata_value_does_not_become_nodata(name, nodata, instead):
    image = decode(source(name))
    pixels_HWC = image.pixels_HWC.copy()
    pixels_HWC[2:5, 2:5] = nodata
    again = decode(encode(image.with_pixels(pixels_HWC)))
    np.testing.assert_array_equal(again.valid_HW, image.valid_HW)
    assert (again.pixels_HWC[2:5, 2:5] == instead).all()
    np.testing.assert_array_equal(again.pixels_HWC[5:], image.pixels_HWC[5:])


def test_the_highest_nodata_value_is_left_downwards():
    image = decode(geotiff(ground(1), nodata=255))
    written = encode(image.with_pixels(np.full_like(image.pixels_HWC, 255)))
    assert (decode(written).pixels_HWC == 254).all()


def test_tags_of_an_earlier_run_are_replaced():
    twice = restored(decode(encode(restored(decode(source("tagged"))))))
    other = replace(MADE, restorer="another")
    written = decode(encode(replace(twice, metadata=replace(twice.metadata, provenance=other))))
    tags = written.metadata.entries[RASTER_HEADER].tags
    assert tags[""]["RESTORE_MODEL"] == "another"
    assert tags[""]["SENSOR"] == "MSI"
    assert tags["PROVIDER"] == {"PRODUCT": "L2A", "BASELINE": "04.00"}


def test_what_does_not_fit_is_refused_with_a_cure():
    image = decode(source("physical"))
    for pixels_HWC in (image.pixels_HWC[:, :, :1], image.pixels_HWC.astype(np.uint32)):
        domain = replace(image.domain, dtype=pixels_HWC.dtype.name)
        with pytest.raises(ImageError, match=r"(?s)holds .* not .*; ") as refusal:
            encode(replace(image, pixels_HWC=pixels_HWC, domain=domain))
        assert refusal.value.reason == "UNENCODABLE"


def test_threads_do_not_disturb_each_other():
    alone = {name: encode(restored(decode(source(name)), 2)) for name in NAMES}
    with ThreadPoolExecutor(4) as pool:
        together = pool.map(lambda name: encode(restored(decode(source(name)), 2)), NAMES)
        for name, data in zip(NAMES, together, strict=True):
            assert data == alone[name], name


def test_without_gdal_the_cure_is_named(monkeypatch):
    data = source("negative")
    image = decode(data)
    monkeypatch.setitem(sys.modules, "rasterio", None)
    assert FORMATS["geotiff"].recognises(data)
    for reason, act in (("UNREADABLE", lambda: decode(data)), ("UNENCODABLE", lambda: encode(image))):
        with pytest.raises(ImageError, match=r"pip install restora\[geo\]") as refusal:
            act()
        assert refusal.value.reason == reason


def test_the_least_and_the_greatest_sample_are_not_said_of_other_pixels():
    extremes = {"TIFFTAG_MINSAMPLEVALUE": "3", "TIFFTAG_MAXSAMPLEVALUE": "4000", "SENSOR": "MSI"}
    image = decode(geotiff(ground(1, "uint16"), lambda dataset: dataset.update_tags(**extremes)))
    with rasterio.MemoryFile(encode(image)) as file, file.open() as made:
        kept = set(extremes) & set(made.tags())
    assert kept == {"SENSOR"}
