"""Colour and geometry that the container tells: kept, converted, or told in the row."""

import io
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from pipeline.errors import ImageError
from pipeline.formats import decode, encode
from pipeline.formats.colour import COLOUR
from pipeline.formats.left_out import left_out
from tests import colour_samples as samples
from tests.colour_matrix import BEGIN, END, LOST, table
from tests.helpers import complete, encoded, fill, restore

PAGE = Path(__file__).parents[3] / "docs" / "formats.md"


def test_the_table_of_the_docs_is_what_happens_and_nothing_is_lost():
    found = table()
    assert LOST not in found
    stated = PAGE.read_text().partition(BEGIN)[2].partition(END)[0].strip()
    assert stated == found, "python -m tests.colour_matrix docs/formats.md writes it anew"


def test_a_restored_image_says_in_its_row_what_its_format_cannot(tmp_path):
    fill(tmp_path / "in", {"pq.png": samples.cicp(*samples.PQ), "ultra.jpg": samples.with_gain_map()})
    rows = complete(restore(tmp_path / "in", tmp_path / "out", output_format="webp"))
    assert [row["status"] for row in rows] == ["ok", "ok"]
    assert "primaries 9 and transfer 16 of ITU-T H.273" in rows[0]["message"]
    assert "gain map" in rows[1]["message"]


def test_a_clean_aperture_is_cut_out():
    whole = decode(samples.nclx(*samples.P3))
    seen = decode(samples.aperture(20, 16))
    assert np.array_equal(seen.pixels_HWC, whole.pixels_HWC[4:20, 6:26])
    assert decode(samples.aperture(32, 24)).size == (24, 32, 3)


@pytest.mark.parametrize("sides", [(40, 24), (31, 24), (0, 24)])
def test_a_clean_aperture_that_is_no_part_of_the_image_is_refused(sides):
    with pytest.raises(ImageError, match="clean aperture") as refusal:
        decode(samples.aperture(*sides))
    assert refusal.value.reason == "UNREADABLE"


def test_an_avif_of_ten_bits_is_refused_also_where_only_its_codec_says_so():
    ten = imagecodecs.avif_encode(np.zeros((24, 32, 3), np.uint16), bitspersample=10)
    for data in (ten, ten.replace(b"pixi", b"free")):
        with pytest.raises(ImageError, match="more than 8 bits"):
            decode(data)


def test_an_avif_shows_other_readers_the_code_points_too():
    written = encode(decode(samples.cicp(*samples.P3)), "avif")
    at = written.index(b"colrnclx") + 8
    assert written[at : at + 4] == bytes((0, 12, 0, 13))
    with Pillow.open(io.BytesIO(written)) as picture:
        assert picture.size == (32, 24)


@pytest.mark.parametrize("points", [(1, 13), (2, 2), (2, 13), (12, 2), (300, 13)])
def test_what_is_unspecified_or_srgb_is_nothing_to_keep(points):
    image = decode(samples.nclx(*points))
    assert COLOUR not in image.metadata.entries
    assert left_out(image, "jpeg") is None


@pytest.mark.parametrize("unit", [1, 2, 3])
def test_a_raster_without_georeference_keeps_orientation_and_resolution(unit):
    pixels = np.linspace(0, 1, 48, dtype=np.float32).reshape(6, 8)
    source = samples.tiff(
        data=pixels,
        resolution=((300, 1), (300, 1)) if unit != 1 else ((1, 1), (1, 1)),
        resolutionunit=unit,
        extratags=[(274, "H", 1, 6, True)],
    )
    written = encode(decode(source))
    with tifffile.TiffFile(io.BytesIO(written)) as file:
        tags = file.pages[0].tags
        assert tags[274].value == 6
        assert np.array_equal(file.pages[0].asarray(), pixels)
        found = tags[282].value[0] / tags[282].value[1] if 282 in tags else None
        assert found == {1: None, 2: 300, 3: pytest.approx(762)}[unit]
    assert encode(decode(written)) == written


def test_a_raster_says_what_another_format_loses_of_its_place():
    image = decode(samples.oriented_tiff("float32"))
    assert "orientation" in left_out(image, "png")
    assert left_out(image, "geotiff") is None


def test_a_degenerate_chrm_is_no_description():
    assert COLOUR not in decode(samples.degenerate_primaries()).metadata.entries
    assert decode(encoded(samples.rgb())).metadata.entries == {}
