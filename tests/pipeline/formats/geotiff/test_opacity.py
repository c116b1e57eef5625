"""Colours that are multiplied by the opacity say so in a GeoTIFF, too."""

import io

import numpy as np
import pytest
import tifffile

from pipeline.errors import ImageError
from pipeline.formats import decode, encode
from tests.bad_images import PHOTO, tiff
from tests.geotiff_samples import geotiff, ground, restored
from tests.helpers import complete, fill, restore

OPACITY = np.full((1, 50, 81), 128, np.uint8)
SAMPLES = np.concatenate([ground(3) // 2, OPACITY])


def kinds(data: bytes) -> list[tuple[int, ...]]:
    """ExtraSamples of every page that has any."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        return [tuple(int(each) for each in page.extrasamples) for page in file.pages if page.extrasamples]


@pytest.mark.parametrize("options", [{}, {"BIGTIFF": "YES"}, {"ENDIANNESS": "BIG"}])
@pytest.mark.parametrize(("said", "kind"), [("PREMULTIPLIED", 1), ("NON-PREMULTIPLIED", 2)])
def test_the_kind_of_opacity_stays(said, kind, options):
    image = decode(geotiff(SAMPLES, photometric="RGB", ALPHA=said, **options))
    assert kinds(encode(image)) == [(kind,)]
    assert decode(encode(image)).metadata == image.metadata
    large = encode(restored(image, 8))
    assert len(kinds(large)) > 1
    assert set(kinds(large)) == {(kind,)}


def test_further_bands_stay_what_they_are():
    samples = np.concatenate([SAMPLES, ground(1)])
    image = decode(geotiff(samples, photometric="RGB", ALPHA="PREMULTIPLIED"))
    assert kinds(encode(image)) == [(1, 0)]


def test_formats_without_a_word_for_it_refuse_rasters_too_and_a_plain_tiff_becomes_a_raster_that_says_it():
    image = decode(geotiff(SAMPLES, photometric="RGB", ALPHA="PREMULTIPLIED"))
    with pytest.raises(ImageError, match="not multiplied"):
        encode(image, "png")
    assert kinds(encode(image, "tiff")) == [(1,)]
    opacity = np.full(PHOTO.shape[:2], 200, np.uint8)
    plain = decode(tiff(np.dstack([PHOTO, opacity]), photometric="rgb", extrasamples=["assocalpha"]))
    assert kinds(encode(plain, "geotiff")) == [(1,)]


def test_strips_say_it_as_the_ordinary_way_does(tmp_path):
    fill(tmp_path / "in", {"scene.tif": geotiff(SAMPLES, photometric="RGB", ALPHA="PREMULTIPLIED")})
    limits = {"scene_pixels": 1, "strip_samples": 50 * 81}
    job = restore(tmp_path / "in", tmp_path / "out", restorers=["median"], resources=limits)
    (row,) = complete(job)
    assert "strips" in row["condition"]
    assert kinds((tmp_path / "out/scene.tif").read_bytes()) == [(1,)]
