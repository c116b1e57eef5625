"""JPEG 2000 and NITF: read by the one driver, written as GeoTIFF."""

import io
import struct

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageCms

from pipeline.errors import ImageError
from pipeline.formats import decode, encode, format_of
from pipeline.formats.nitf_segments import coded_images
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


def test_signed_samples_of_fewer_bits_may_be_negative():
    samples_CHW = np.random.default_rng(0).integers(-2048, 2048, (1, 40, 48)).astype(np.int16)
    image = decode(jpeg2000(geotiff(samples_CHW), NBITS="12"))
    np.testing.assert_array_equal(image.pixels_HWC[:, :, 0], samples_CHW[0])
    assert (image.domain.low, image.domain.high, image.domain.storable) == (-2048, 2047, (-2048, 2047))


@pytest.mark.parametrize("kind", FILES)
def test_every_cut_is_refused(kind):
    make, name = FILES[kind]
    data = make(rasters()[name])
    for percent in range(5, 100, 5):
        with pytest.raises(ImageError) as refusal:
            decode(data[: len(data) * percent // 100])
        assert refusal.value.reason in {"UNREADABLE", "TRUNCATED"}, percent


NOISE = np.random.default_rng(0).integers(0, 255, (1, 128, 128)).astype(np.uint8)
ENDING = {
    "one.jp2": lambda data: jpeg2000(data),
    "tiled.jp2": lambda data: jpeg2000(data, TILEXSIZE="64", TILEYSIZE="64"),
    "bare.j2k": lambda data: converted(data, "JP2OpenJPEG", ".j2k", QUALITY="100", REVERSIBLE="YES"),
    "c8.ntf": lambda data: converted(data, "NITF", ".ntf", IC="C8"),
    "c3.ntf": lambda data: converted(data, "NITF", ".ntf", IC="C3"),
}


@pytest.mark.parametrize("resources", [{}, {"scene_pixels": 1}])
def test_what_was_not_written_to_its_end_is_truncated_in_strips_too(tmp_path, resources):
    files = {}
    for name, make in ENDING.items():
        files[name] = data = make(geotiff(NOISE))
        for count in (2, 40, 1000):
            files[f"{count}-{name}"] = data[:-count] + bytes(count)
    fill(tmp_path / "in", files)
    lenient = {"threshold": 1.0, "stop_share": 1.0}
    job = restore(
        tmp_path / "in", tmp_path / "out", output_format="geotiff", resources=resources, quarantine=lenient
    )
    found = {row["key"]: row["reason"] for row in complete(job)}
    assert found == {name: None if name in ENDING else "TRUNCATED" for name in files}


def test_images_of_nitf_are_found_behind_a_table_and_a_longer_header():
    coded = b"\xff\x4f\xff\x51 code \xff\xd9"

    def nitf(version: bytes, downgrade: bytes, data: bytes) -> bytes:
        event = bytes(40) if downgrade == b"999998" else b""
        before = version + bytes(271) + downgrade + event + bytes(68)
        header = b"%06d002%06d%010d%06d%010d" % (len(before) + 41, 5, 7, 4, len(data))
        return before + header + b"sub 1" + b"no code" + b"sub2" + data

    for version, downgrade in ((b"NITF02.10", bytes(6)), (b"NITF02.00", b"999998"), (b"NITF02.00", bytes(6))):
        for table in (b"", b"\0\0\0\x08abcd"):
            file = nitf(version, downgrade, table + coded)
            assert [file[first:last] for first, last in coded_images(file)] == [coded]
    assert list(coded_images(b"NITF02.10" + bytes(500))) == []


def test_bits_bound_the_range():
    domain = decode(jpeg2000(geotiff(ground(1, "uint16") // 4, NBITS=12))).domain
    assert (domain.high, domain.storable, domain.rule) == (4095, (0, 4095), "header")


def coloured(data: bytes, described: bytes) -> bytes:
    """A JPEG 2000 file with another colr box, whose contents are given."""
    header, box = data.index(b"jp2h") - 4, data.index(b"colr") - 4
    old = struct.unpack_from(">I", data, box)[0]
    new = struct.pack(">I4s", 8 + len(described), b"colr") + described
    size = struct.unpack_from(">I", data, header)[0] + len(new) - old
    return data[:header] + struct.pack(">I", size) + data[header + 4 : box] + new + data[box + old :]


def rgb(**options: str) -> tuple[np.ndarray, bytes]:
    """Smooth colours, and the JPEG 2000 file of them."""
    ramps_CHW = np.stack(np.broadcast_arrays(*np.ogrid[40:230:3, 60:250:3], 128)).astype(np.uint8)
    return ramps_CHW, jpeg2000(geotiff(ramps_CHW, photometric="RGB"), **options)


def numbered(number: int) -> bytes:
    return b"\1\0\0" + struct.pack(">I", number)


@pytest.mark.parametrize("number", [12, 14, 18, 24])
def test_jpeg_2000_of_other_colours_is_refused(number):
    _, data = rgb()
    with pytest.raises(ImageError, match="grey nor RGB") as refusal:
        decode(coloured(data, numbered(number)))
    assert refusal.value.reason == "UNSUPPORTED_COLOUR"
    assert decode(coloured(data, numbered(16))).size == (64, 64, 3)


def test_ycc_of_half_the_resolution_is_turned_into_rgb():
    ramps_CHW, data = rgb(YCBCR420="YES")
    assert numbered(18) in data
    assert np.abs(decode(data).pixels_HWC.transpose(2, 0, 1).astype(int) - ramps_CHW).max() < 16


def test_the_profile_of_jpeg_2000_goes_along_and_one_of_inks_is_refused(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = coloured(rgb()[1], b"\2\0\0" + profile)
    with Pillow.open(io.BytesIO(encode(decode(data), "geotiff"))) as picture:
        assert picture.info["icc_profile"] == profile
    with Pillow.open(io.BytesIO(encode(decode(data), "png"))) as picture:
        assert picture.info["icc_profile"] == profile
    fill(tmp_path / "in", {"scene.jp2": data})
    limits = {"scene_pixels": 1}
    job = restore(
        tmp_path / "in", tmp_path / "out", restorers=["median"], output_format="geotiff", resources=limits
    )
    (row,) = complete(job)
    assert "strips" in row["condition"]
    with Pillow.open(row["output_uri"]) as picture:
        assert picture.info["icc_profile"] == profile
    inks = profile[:16] + b"CMYK" + profile[20:]
    with pytest.raises(ImageError, match="grey nor RGB"):
        decode(coloured(data, b"\2\0\0" + inks))


def test_what_says_the_place_of_jpeg_2000_again_is_not_said_of_other_pixels():
    image = decode(jpeg2000(rasters()["north-up"]))
    header = image.metadata.entries["geotiff_header"]
    assert any(name.startswith("xml:gml") for name in header.documents)
    larger = image.with_pixels(image.pixels_HWC.repeat(2, 0).repeat(2, 1))
    with rasterio.MemoryFile(encode(larger, "geotiff")) as file, file.open() as made:
        assert not any(name.startswith("xml:gml") for name in made.tag_namespaces())


def test_several_images_in_one_jpeg_2000_file_are_no_image():
    data = rgb()[1]
    first = data.index(b"jp2c") - 4
    stream = data[first + 8 :]
    box = struct.pack(">I4s", 8 + len(stream), b"jp2c") + stream
    assert decode(data[:first] + box).size == (64, 64, 3)
    with pytest.raises(ImageError) as refusal:
        decode(data[:first] + box + box)
    assert refusal.value.reason == "ANIMATED"


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
