"""Rasters that are broken, too large or of a kind that is not kept: refused with the right reason."""

import struct

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import ImageError
from pipeline.formats import Limits, decode, encode, format_of
from pipeline.formats.geotiff.directory import STRIP_BYTES, STRIP_OFFSETS, TILE_OFFSETS, read_directory
from tests.bad_images import PHOTO, tiff
from tests.format_contract import check_survives
from tests.geotiff_samples import LANDSAT, RASTERS, geotiff, ground, rasters

rasterio = pytest.importorskip("rasterio", reason="restora[geo] is not installed")
pytestmark = [
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),
    # rasterio cannot pass on messages of GDAL that quote bytes which are no UTF-8.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def reason_of(data: bytes, limits: Limits | None = None) -> str:
    """Why it is refused; the text must name none of the file's contents."""
    with pytest.raises(ImageError) as refusal:
        decode(data, limits)
    assert "vsimem" not in str(refusal.value)
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None
    return refusal.value.reason


def patched(data: bytes, code: int, value: int, index: int = 0) -> bytes:
    """The little-endian classic TIFF with one number of a tag changed."""
    at = struct.unpack_from("<I", data, 4)[0]
    for start in range(at + 2, at + 2 + 12 * struct.unpack_from("<H", data, at)[0], 12):
        tag, kind, count, place = struct.unpack_from("<HHII", data, start)
        if tag == code:
            size = {3: 2, 4: 4}[kind]
            place = start + 8 if size * count <= 4 else place
            packed = struct.pack("<H" if kind == 3 else "<I", value)
            return data[: place + size * index] + packed + data[place + size * (index + 1) :]
    raise KeyError(code)


@pytest.mark.parametrize("name", RASTERS)
def test_every_cut_is_refused(name):
    data = rasters()[name]
    for percent in range(0, 100, 5):
        assert reason_of(data[: len(data) * percent // 100]) in {"EMPTY", "TRUNCATED", "UNREADABLE"}, percent


@pytest.mark.parametrize("compress", ["DEFLATE", "ZSTD", "LZW", "JPEG", "PACKBITS", "LZMA", "WEBP"])
def test_a_broken_tile_in_the_middle_is_found(compress):
    options = {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": compress}
    data = geotiff(ground(3), photometric="RGB", **options)
    directory = read_directory(data)
    assert directory is not None
    decode(data)
    offsets = directory.integers(TILE_OFFSETS)
    middle = offsets[len(offsets) // 2]
    broken = data[:middle] + b"\xff\x00\xff\x00" * 8 + data[middle + 32 :]
    assert reason_of(broken) in {"UNREADABLE", "TRUNCATED"}


def test_a_missing_strip_is_no_data_only_where_nodata_is_declared():
    def with_hole(**profile):
        data = geotiff(ground(1, "uint16"), blockysize=5, **profile)
        return patched(patched(data, STRIP_OFFSETS, 0, 3), STRIP_BYTES, 0, 3)

    image = decode(with_hole(nodata=7))
    assert image.valid_HW is not None
    assert not image.valid_HW[15:20].any()
    assert image.valid_HW[:15].all()
    assert reason_of(with_hole()) == "TRUNCATED"


@pytest.mark.parametrize("nodata", [0, None])
def test_not_one_valid_pixel(nodata):
    zeros = np.zeros((2, 50, 81), np.uint8)
    data = geotiff(zeros, nodata=0) if nodata == 0 else geotiff(ground(2), mask=zeros[0])
    assert reason_of(data) == "ALL_NODATA"


def test_bands_that_are_valid_at_different_places_only():
    halves = ground(2, "int16")
    halves[0, :25], halves[1, 25:] = -32768, -32768
    assert reason_of(geotiff(halves, nodata=-32768)) == "ALL_NODATA"


@pytest.mark.parametrize("dtype", ["uint32", "int32", "float64", "complex64", "int8", "complex_int16"])
def test_types_that_are_not_kept(dtype):
    numpy_type = "complex64" if dtype == "complex_int16" else dtype
    with rasterio.MemoryFile() as file:
        with file.open(driver="GTiff", width=81, height=50, count=1, dtype=dtype, crs="EPSG:4326") as dataset:
            dataset.write(ground(1).astype(numpy_type))
        assert reason_of(file.read()) == "UNSUPPORTED_DTYPE"


def test_a_colour_table_means_classes():
    classes = geotiff(
        ground(1) // 64, lambda dataset: dataset.write_colormap(1, {0: (0, 0, 0), 1: (9, 9, 9)})
    )
    assert reason_of(classes) == "UNSUPPORTED_COLOUR"
    assert reason_of(geotiff(ground(1), photometric="MINISWHITE")) == "UNSUPPORTED_COLOUR"
    assert reason_of(geotiff(ground(4), photometric="CMYK")) == "UNSUPPORTED_COLOUR"


@pytest.mark.parametrize(
    ("tags", "means_classes"),
    [
        ({"LAYER_TYPE": "thematic"}, True),
        ({"flag_values": "{0,1,2}", "flag_meanings": "sea land ice"}, True),
        ({"flag_masks": "{1,2,4}"}, True),
        ({"LAYER_TYPE": "athematic"}, False),
    ],
)
def test_tags_of_a_band_that_mean_classes(tags, means_classes):
    data = geotiff(ground(2), lambda dataset: dataset.update_tags(2, **tags))
    if means_classes:
        assert reason_of(data) == "UNSUPPORTED_COLOUR"
    else:
        assert decode(data).size[2] == 2


def test_several_rasters_in_one_file(tmp_path):
    with tifffile.TiffWriter(tmp_path / "two.tif") as writer:
        for _ in range(2):
            writer.write(ground(1, "int16")[0], metadata=None)
    assert reason_of((tmp_path / "two.tif").read_bytes()) == "ANIMATED"


def test_headers_that_promise_too_much():
    data = geotiff(ground(3, "uint16"))
    assert reason_of(data, Limits(max_pixels=81 * 49)) == "TOO_LARGE"
    for code, value in [(256, 60_000), (257, 60_000)]:
        assert reason_of(patched(data, code, value)) in {"TRUNCATED", "UNREADABLE"}
    assert reason_of(patched(patched(data, 256, 65_535), 257, 65_535)) == "TOO_LARGE"
    assert reason_of(patched(data, 277, 60_000), Limits(max_pixels=10_000)) == "TOO_LARGE"
    tiled = geotiff(ground(1), tiled=True, blockxsize=16, blockysize=16)
    assert reason_of(patched(patched(tiled, 322, 65_520), 323, 65_520)) == "TOO_LARGE"
    assert reason_of(patched(data, 256, 0)) == "UNREADABLE"


def test_a_georeference_that_means_nothing():
    flat = geotiff(ground(1), transform=rasterio.Affine(1, 1, 0, 1, 1, 0))
    assert reason_of(flat) == "BAD_GEOREF"
    nan = geotiff(ground(1), transform=rasterio.Affine(float("nan"), 1, 0, 1, 1, 0))
    assert reason_of(nan) == "BAD_GEOREF"


def test_photographs_stay_with_the_plain_format():
    for data in (
        tiff(PHOTO, photometric="rgb"),
        tiff(PHOTO[..., 0].astype(np.uint16), photometric="minisblack"),
    ):
        assert format_of(data).name == "tiff"
    for data in (
        geotiff(ground(1)),
        tiff(PHOTO.astype(np.float32), photometric="rgb"),
        encode(decode(tiff(PHOTO, photometric="rgb")), "geotiff"),
    ):
        assert format_of(data).name == "geotiff"


def test_a_virtual_raster_that_points_elsewhere_is_no_image():
    """GDAL's own list of formats is not consulted: a file may not name another file, or an address."""
    source = f"<SimpleSource><SourceFilename>{LANDSAT}</SourceFilename></SimpleSource>"
    band = f'<VRTRasterBand dataType="Byte" band="1">{source}</VRTRasterBand>'
    virtual = f'<VRTDataset rasterXSize="9" rasterYSize="9">{band}</VRTDataset>'
    assert reason_of(virtual.encode()) == "UNREADABLE"


SEEDS = [data for name, data in rasters().items() if len(data) < 60_000]


@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 59_999), st.integers(0, 255)), min_size=1, max_size=12),
)
@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_flipped_bytes_give_an_image_or_an_image_error(data, flips):
    changed = bytearray(data)
    for place, value in flips:
        # Half of them in the header, where they hurt.
        changed[(place if place % 2 else place % 800) % len(data)] = value
    check_survives(bytes(changed))


@given(st.sampled_from(SEEDS), st.integers(0, 400), st.binary(min_size=1, max_size=60))
@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_spliced_headers_give_an_image_or_an_image_error(data, place, inserted):
    check_survives(data[:place] + inserted + data[place + len(inserted) :])
