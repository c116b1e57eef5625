"""Restored files show no preview of their source, and say their own size: Pillow and tifffile look."""

import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import ExifTags
from PIL import Image as Pillow

from pipeline.formats import decode
from pipeline.formats.base import EXIF
from pipeline.formats.previews import exif_of_size, of_new_pixels, without_preview_resource
from tests.bad_images import PHOTO, saved
from tests.helpers import complete, fill, restore

PREVIEW = saved(PHOTO[::4, ::4], "JPEG")
WIDTH, HEIGHT, MAKER_NOTE = 0xA002, 0xA003, 0x927C
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><xmp:Rating>4</xmp:Rating><xmp:Thumbnails><rdf:Alt>%s</rdf:Alt>'
    b"</xmp:Thumbnails></x:xmpmeta>" % (b"c291cmNl" * 9)
)


def exif(order: str = "<") -> bytes:
    """Of a camera: sizes, a note by its maker, and behind them the directory of a preview."""
    made = Pillow.Exif()
    made.endian = order
    made[315] = "A. Photographer"
    inner = made.get_ifd(ExifTags.IFD.Exif)
    inner[WIDTH], inner[HEIGHT], inner[MAKER_NOTE] = PHOTO.shape[1], PHOTO.shape[0], b"note at 8"
    blob = bytearray(made.tobytes().removeprefix(b"Exif\0\0"))
    first = struct.unpack_from(f"{order}I", blob, 4)[0]
    pointer = first + 2 + 12 * struct.unpack_from(f"{order}H", blob, first)[0]
    blob += b"\0" * (len(blob) % 2)
    struct.pack_into(f"{order}I", blob, pointer, len(blob))
    start = len(blob) + 2 + 3 * 12 + 4
    entries = [(259, 3, 6), (0x201, 4, start), (0x202, 4, len(PREVIEW))]
    table = struct.pack(f"{order}H", 3)
    for code, kind, value in entries:
        stored = struct.pack(f"{order}H", value) + b"\0\0" if kind == 3 else struct.pack(f"{order}I", value)
        table += struct.pack(f"{order}HHI", code, kind, 1) + stored
    return bytes(blob) + table + b"\0" * 4 + PREVIEW


def resource(number: int, value: bytes) -> bytes:
    return b"8BIM" + struct.pack(">HHI", number, 0, len(value)) + value + b"\0" * (len(value) % 2)


RESOURCES = resource(1028, b"a caption") + resource(1036, bytes(28) + PREVIEW) + resource(1049, b"\0\0\0\1")
KEPT = resource(1028, b"a caption") + resource(1049, b"\0\0\0\1")


def read(blob: bytes) -> tuple[dict, dict, dict]:
    """First directory, Exif and preview, by Pillow."""
    found = Pillow.Exif()
    found.load(b"Exif\0\0" + blob)
    return dict(found), found.get_ifd(ExifTags.IFD.Exif), found.get_ifd(ExifTags.IFD.IFD1)


@pytest.mark.parametrize("order", "<>")
def test_exif_data_lose_the_preview_and_say_the_new_size(order):
    source = exif(order)
    assert read(source)[2][0x202] == len(PREVIEW)
    assert PREVIEW in source
    changed = exif_of_size(source, (70000, 160))
    first, inner, preview = read(changed)
    assert (first[315], inner[MAKER_NOTE]) == ("A. Photographer", b"note at 8")
    assert (inner[WIDTH], inner[HEIGHT]) == (160, PHOTO.shape[0])  # a SHORT holds no 70000
    assert not preview
    assert PREVIEW[20:40] not in changed
    assert len(changed) == len(source)
    assert changed.find(b"note at 8") == source.find(b"note at 8")


@pytest.mark.parametrize("cut", range(0, 700, 23))
def test_broken_data_stay_as_they_are_or_lose_what_can_be_read(cut):
    blob = exif()
    assert len(exif_of_size(blob[:cut], (1, 1))) == min(cut, len(blob))
    assert len(exif_of_size(blob[:cut] + b"\xff" * 40 + blob[cut:], (1, 1))) == len(blob) + 40
    assert without_preview_resource(RESOURCES[:cut]) is not None


def test_photoshop_keeps_its_other_resources():
    assert without_preview_resource(RESOURCES) == KEPT
    assert without_preview_resource(b"") == b""


@pytest.mark.parametrize("restorer", ["median", "bicubic-x2"])
def test_no_format_shows_the_source_in_what_was_restored(tmp_path, restorer):
    jpeg = saved(PHOTO, "JPEG", exif=b"Exif\0\0" + exif(), xmp=XMP)
    payload = b"Photoshop 3.0\0" + RESOURCES
    jpeg = jpeg[:2] + b"\xff\xed" + struct.pack(">H", len(payload) + 2) + payload + jpeg[2:]
    tiff = io.BytesIO()
    tags = [(34377, 1, len(RESOURCES), RESOURCES, True)]
    tifffile.imwrite(tiff, PHOTO, photometric="rgb", extratags=tags, metadata=None)
    files = {
        "a.jpg": jpeg,
        "a.png": saved(PHOTO, "PNG", exif=exif()),
        "a.webp": saved(PHOTO, "WEBP", exif=b"Exif\0\0" + exif(), xmp=XMP, lossless=True),
        "a.avif": saved(PHOTO, "AVIF", exif=exif(), xmp=XMP, quality=90),
        "a.tif": tiff.getvalue(),
    }
    for name, data in files.items():
        assert PREVIEW[20:40] in data, name
    fill(tmp_path / "in", files)
    rows = complete(restore(tmp_path / "in", tmp_path / "out", restorers=[restorer]))
    assert {row["key"]: row["message"] for row in rows if row["status"] != "ok"} == {}
    for name in files:
        data = (tmp_path / "out" / name).read_bytes()
        assert PREVIEW[20:40] not in data, name
        assert b"c291cmNl" not in data, name
        image = decode(data)
        if name != "a.tif":
            inner = read(image.metadata.entries[EXIF])[1]
            assert (inner[HEIGHT], inner[WIDTH]) == image.size[:2], name
    assert KEPT in (tmp_path / "out/a.jpg").read_bytes()
    assert b"<xmp:Rating>4" in (tmp_path / "out/a.jpg").read_bytes()
    with tifffile.TiffFile(tmp_path / "out/a.tif") as file:
        assert file.pages[0].tags[34377].value.startswith(KEPT)


def test_what_has_no_preview_is_not_touched():
    image = decode(saved(PHOTO, "JPEG"))
    assert of_new_pixels(image).metadata == image.metadata
    np.testing.assert_array_equal(of_new_pixels(image).pixels_HWC, image.pixels_HWC)
