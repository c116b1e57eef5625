"""What came with the pixels leaves with them; Pillow and tifffile look."""

import io
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow
from PIL import PngImagePlugin

from pipeline.formats import decode, encode
from pipeline.formats.exif import Directory, Tag, read_exif, write_exif
from tests.bad_images import ODD_BUT_GOOD, OPACITY, PHOTO, saved, tiff
from tests.format_contract import (
    NEEDS,
    read_by_others,
)
from tests.format_samples import (
    ARTIST,
    EXIF,
    EXIF_POINTER,
    EXPOSURE,
    GPS_POINTER,
    ICC,
    ORIENTATION,
    SOURCES,
    XMP,
    enlarged,
    opened,
)


@pytest.mark.parametrize("name", SOURCES)
def test_metadata_survive_their_own_format_unchanged_even_when_the_image_grows(name):
    image = decode(SOURCES[name])
    assert image.metadata.entries["icc_profile"] == ICC
    for written in (encode(image), encode(enlarged(image))):
        assert decode(written).metadata == image.metadata
    source, copy = opened(SOURCES[name]), opened(encode(enlarged(image)))
    assert copy.size == (2 * source.size[0], 2 * source.size[1])
    assert copy.info["icc_profile"] == ICC
    assert copy.info.get("dpi") == source.info.get("dpi")
    assert copy.info.get("comment") == source.info.get("comment")
    assert copy.info.get("xmp") == source.info.get("xmp")
    _check_exif(copy)


def _check_exif(picture: Pillow.Image) -> None:
    exif = picture.getexif()
    assert exif[ORIENTATION] == 6
    assert exif[ARTIST] == "A. Photographer"
    assert float(exif.get_ifd(EXIF_POINTER)[EXPOSURE]) == 1 / 125
    assert exif.get_ifd(GPS_POINTER)[1] == "N"


@pytest.mark.parametrize(
    "target", [pytest.param(name, marks=NEEDS.get(name, ())) for name in (*SOURCES, "geotiff")]
)
@pytest.mark.parametrize("source", SOURCES)
def test_exif_icc_and_xmp_go_from_any_format_to_any_other(source, target):
    image = decode(SOURCES[source])
    picture = opened(encode(image, target))
    if target != "geotiff":  # which has tags of its own, as documented
        _check_exif(picture)
    assert picture.info["icc_profile"] == ICC
    if source in ("jpeg", "webp"):
        xmp = picture.info.get("xmp") or picture.info["XML:com.adobe.xmp"].encode()
        assert xmp == XMP
    if target == "tiff" and source == "tiff":
        assert picture.tag_v2[270] == "a face"


def test_exif_bytes_of_jpeg_png_and_webp_are_not_touched():
    for name in ("jpeg", "png", "webp"):
        stored = EXIF.removeprefix(b"Exif\0\0")
        assert decode(SOURCES[name]).metadata.entries["exif"] == stored
        assert stored in encode(decode(SOURCES[name]))


def test_orientation_leaves_the_pixels_as_stored():
    image = decode(SOURCES["jpeg"])
    assert image.size == (64, 80, 3)
    assert opened(encode(image)).getexif()[ORIENTATION] == 6


def test_png_text_and_colour_chunks():
    text = PngImagePlugin.PngInfo()
    text.add_text("Title", "café")
    text.add_text("Notes", "long " * 500, zip=True)
    text.add_itxt("Where", "Zürich", lang="de")
    text.add(b"gAMA", (45455).to_bytes(4, "big"))
    text.add(b"sRGB", b"\0")
    text.add(b"sBIT", bytes((5, 6, 5)))
    source = saved(PHOTO, "PNG", pnginfo=text, dpi=(72, 72))
    copy = opened(encode(enlarged(decode(source))))
    original = opened(source)
    assert copy.text == original.text
    assert copy.info["gamma"] == original.info["gamma"] == 0.45455
    assert copy.info["srgb"] == 0
    assert copy.info["dpi"] == original.info["dpi"]
    assert b"sBIT" + bytes((5, 6, 5)) in encode(decode(source))


def _chunk(data: bytes, kind: bytes) -> bytes | None:
    """As Pillow or libpng would find it: by its four letters."""
    at = data.find(kind)
    return None if at < 0 else data[at + 4 : at + 4 + int.from_bytes(data[at - 4 : at], "big")]


def _with_chunks(data: bytes, said: dict[bytes, bytes]) -> bytes:
    """Before the pixels, which Pillow does not write such chunks to."""
    at, added = data.index(b"IDAT") - 4, b""
    for kind, value in said.items():
        added += struct.pack(">I", len(value)) + kind + value + struct.pack(">I", zlib.crc32(kind + value))
    return data[:at] + added + data[at:]


PHYSICAL = b"depth\0" + struct.pack(">iiBB", 0, 255, 0, 2) + b"m\x00-10\x00512.5"


def test_png_says_how_large_a_pixel_is_and_what_a_sample_stands_for():
    offsets, stereo = struct.pack(">iiB", 30, -20, 0), b"\0"
    said = {b"sCAL": b"\x012.5e-07\x005e-07", b"oFFs": offsets, b"sTER": stereo, b"pCAL": PHYSICAL}
    grey = PHOTO[:, :, 0]
    source = _with_chunks(saved(grey, "PNG"), said)
    image = decode(source)
    assert (image.domain.unit, image.domain.scales, image.domain.offsets) == ("m", (512.5 / 255,), (-10,))
    same, larger = encode(image), encode(enlarged(image))
    smaller = encode(image.with_pixels(np.ascontiguousarray(image.pixels_HWC[::4, ::4])))
    for kind in (b"sCAL", b"oFFs", b"sTER", b"pCAL"):
        assert _chunk(same, kind) == _chunk(source, kind)
    for copy, sides, offsets in (
        (larger, (1.25e-07, 2.5e-07), (60, -40)),
        (smaller, (1e-06, 2e-06), (8, -5)),
    ):
        found = _chunk(copy, b"sCAL")
        assert found[0] == 1
        assert [float(each) for each in found[1:].split(b"\0")] == pytest.approx(sides)
        assert struct.unpack(">iiB", _chunk(copy, b"oFFs")) == (*offsets, 0)
        assert _chunk(copy, b"sTER") is None
        assert _chunk(copy, b"pCAL") == PHYSICAL
        assert opened(copy).size == decode(copy).size[1::-1]
    image = decode(_with_chunks(saved(Pillow.fromarray(grey).quantize(16), "PNG"), said))
    assert image.domain.scales == ()
    assert b"pCAL" not in encode(image)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"depth",
        b"depth\0" + struct.pack(">iiBB", 0, 0, 0, 2) + b"m\x001\x002",
        b"depth\0" + struct.pack(">iiBB", 0, 9, 1, 3) + b"m\x001\x002\x003",
        b"depth\0" + struct.pack(">iiBB", 0, 9, 0, 2) + b"m\x001\x00x",
        b"depth\0" + struct.pack(">iiBB", 0, 9, 0, 2) + b"m\x001\x00inf",
    ],
)
def test_png_calibrations_that_are_no_straight_line_stay_a_chunk(data):
    image = decode(_with_chunks(saved(PHOTO, "PNG"), {b"pCAL": data}))
    assert image.domain.scales == ()
    assert _chunk(encode(image), b"pCAL") == data


def test_png_drops_chunks_that_the_expansion_of_a_palette_makes_untrue():
    text = PngImagePlugin.PngInfo()
    text.add(b"bKGD", b"\3")
    source = saved(Pillow.fromarray(PHOTO).quantize(16), "PNG", pnginfo=text)
    assert b"bKGD" in source
    assert b"bKGD" not in encode(decode(source))


def test_tiff_keeps_layout_byte_order_and_the_kind_of_alpha():
    clear = np.dstack([PHOTO, OPACITY])
    options = {"photometric": "rgb", "tile": (32, 16), "byteorder": ">", "extrasamples": ["assocalpha"]}
    written = encode(decode(tiff(clear, **options, resolution=((3000, 7), (1, 3)), resolutionunit=3)))
    with tifffile.TiffFile(io.BytesIO(written)) as file:
        page = file.pages[0]
        assert file.byteorder == ">"
        assert (page.tilelength, page.tilewidth) == (32, 16)
        assert [int(kind) for kind in page.extrasamples] == [1]
        assert page.tags[282].value == (3000, 7)
        assert page.tags[283].value == (1, 3)
        assert page.tags[296].value == 3
        np.testing.assert_array_equal(page.asarray(), clear)
    planes = encode(decode(ODD_BUT_GOOD["planes.tif"]))
    with tifffile.TiffFile(io.BytesIO(planes)) as file:
        assert file.pages[0].planarconfig == 2


def test_an_ome_description_is_kept_as_long_as_it_is_true():
    file = io.BytesIO()
    tifffile.imwrite(file, PHOTO, photometric="rgb", ome=True)
    image = decode(file.getvalue())
    descriptions = []
    for data in (file.getvalue(), encode(image)):
        with tifffile.TiffFile(io.BytesIO(data)) as tiff_file:
            descriptions.append(tiff_file.pages[0].description)
    assert "SizeX" in descriptions[0]
    assert descriptions[1] == descriptions[0]
    assert opened(encode(enlarged(image))).size == (160, 128)
    assert opened(encode(enlarged(image), "png")).size == (160, 128)


def test_notes_of_the_old_size_do_not_follow_an_enlarged_tiff():
    file = io.BytesIO()
    tifffile.imwrite(file, PHOTO, photometric="rgb")
    written = encode(enlarged(decode(file.getvalue())))
    assert tifffile.imread(io.BytesIO(written)).shape == (128, 160, 3)


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_directories_are_read_as_they_were_written(order):
    child = Directory((Tag(33434, 5, 1, b"\1\0\0\0\2\0\0\0"), Tag(37500, 7, 3, b"abc")))
    whole = Directory((Tag(271, 2, 6, b"Maker\0"), Tag(274, 3, 1, b"\0\1")), ((EXIF_POINTER, child),))
    assert read_exif(write_exif(whole, order)) == (order, whole)
    picture = Pillow.Exif()
    picture.load(write_exif(whole, order))
    assert picture[271] == "Maker"
    assert picture.get_ifd(EXIF_POINTER)[37500] == b"abc"


def test_broken_exif_stays_in_its_own_format_and_stops_nothing():
    broken = b"Exif\0\0II*\0\xff\xff\xff\xff"
    image = decode(saved(PHOTO, "JPEG", exif=broken))
    assert broken in encode(image)
    np.testing.assert_array_equal(read_by_others(encode(image, "tiff"), deep=False), image.pixels_HWC)


def test_metadata_longer_than_a_jpeg_segment():
    image = decode(saved(PHOTO, "PNG", icc_profile=bytes(range(256)) * 1000))
    assert opened(encode(image, "jpeg")).info["icc_profile"] == bytes(range(256)) * 1000
    entries = {**image.metadata.entries, "exif": b"II*\0" + bytes(70_000)}
    image = replace(image, metadata=replace(image.metadata, entries=entries))
    assert opened(encode(image, "jpeg")).size == (80, 64)
