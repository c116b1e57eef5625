"""Pictures of deep and many-banded images: contrast by percentiles, red first, photographs untouched."""

import numpy as np
import pytest
from skimage.data import astronaut, camera

from pipeline.formats import decode
from pipeline.imaging.image import Domain, Image, Metadata
from pipeline.report.display import Display
from tests.geotiff_samples import geotiff

ColorInterp = pytest.importorskip("rasterio", reason="restora[geo] is not installed").enums.ColorInterp


def image_of(pixels_HWC, domain=None, valid_HW=None, entries=None) -> Image:
    domain = domain or Domain.of_integers(pixels_HWC.dtype.name)
    return Image(pixels_HWC, domain, Metadata("tiff", entries or {}), valid_HW)


def test_photographs_are_shown_as_they_are():
    for pixels in (astronaut()[:64, :64], camera()[:64, :64, None]):
        shown = Display.of(image_of(pixels))
        np.testing.assert_array_equal(shown(image_of(pixels)), pixels)
        assert shown.note == ""


def test_deep_grey_gets_the_contrast_of_its_valid_pixels():
    hounsfield = camera()[:200, :200, None].astype(np.int16) * 2 - 160
    stored = hounsfield + 1024
    stored[:50] = -2000
    valid = np.ones(stored.shape[:2], bool)
    valid[:50] = False
    domain = Domain("int16", 24, 4024, unit="HU", scales=(1.0,), offsets=(-1024.0,), rule="job")
    image = image_of(stored, domain, valid)
    shown = Display.of(image)
    low, high = np.percentile(hounsfield[50:], [0.5, 99.5])
    assert shown.note == f"contrast from {low:.4g} to {high:.4g} HU"
    expected = np.clip((hounsfield[50:] - low) / (high - low) * 255, 0, 255)
    np.testing.assert_allclose(shown(image)[50:], expected, atol=0.51)
    assert shown(image).shape == (200, 200, 1)


def test_one_contrast_serves_all_pictures_of_a_sheet():
    pixels = camera()[:64, :64, None].astype(np.uint16) * 4
    shown = Display.of(image_of(pixels))
    darker = shown(image_of(pixels // 2))
    assert darker.mean() < 0.6 * shown(image_of(pixels)).mean()


def test_of_many_bands_the_first_three_are_blue_green_and_red():
    bands = np.concatenate([astronaut()[:64, :64] // 3, astronaut()[:64, :64]], axis=2)
    shown = Display.of(image_of(bands))
    assert shown.note == "bands 3, 2, 1, taken for red, green and blue, each with a contrast of its own"
    picture = shown(image_of(bands))
    for colour, band in enumerate((2, 1, 0)):
        low, high = np.percentile(bands[:, :, band], [0.5, 99.5])
        expected = np.clip((bands[:, :, band] - low) / (high - low) * 255, 0, 255)
        np.testing.assert_allclose(picture[:, :, colour], expected, atol=0.51)


def test_colours_of_deep_photographs_stay():
    pixels = astronaut()[:64, :64].astype(np.uint16) * 100
    shown = Display.of(image_of(pixels))
    assert len(set(shown.black)) == len(set(shown.white)) == 1


def test_a_flat_image_is_no_fault():
    shown = Display.of(image_of(np.full((8, 8, 1), 700, np.uint16)))
    assert np.isfinite(shown(image_of(np.full((8, 8, 1), 700, np.uint16)))).all()


def raster(dtype, names=(), interpretations=()):
    """A GeoTIFF read back whose bands are the rows of a ramp, named or interpreted by GDAL."""

    def describe(dataset):
        if names:
            dataset.descriptions = names
        if interpretations:
            dataset.colorinterp = [ColorInterp[each] for each in interpretations]

    count = len(names or interpretations)
    ramp = np.arange(40 * 30, dtype=dtype).reshape(40, 30) % 200
    return decode(geotiff(np.stack([np.roll(ramp, band * 7, 0) for band in range(count)]), describe))


@pytest.mark.parametrize(
    ("described", "bands"),
    [
        ({"interpretations": ("red", "green", "blue", "undefined")}, (0, 1, 2)),
        ({"interpretations": ("undefined", "blue", "green", "red", "alpha")}, (3, 2, 1)),
        ({"names": ("NIR", "Blue", "green ", "RED")}, (3, 2, 1)),
        ({"names": ("red", "green", "red", "nir")}, None),
        ({"names": ("B2", "B3", "B4", "B8")}, None),
    ],
)
def test_colours_are_the_bands_that_the_file_says(described, bands):
    image = raster("uint16", **described)
    shown = Display.of(image)
    assert shown.bands == (bands or (2, 1, 0))
    numbers = ", ".join(str(band + 1) for band in shown.bands)
    says = "which the file says are" if bands else "taken for"
    contrast = "each with a contrast of its own"
    assert shown.note == f"bands {numbers}, {says} red, green and blue, {contrast}"
    picture, valid_HW = shown(image), image.valid_HW if image.valid_HW is not None else ...
    for colour, band in enumerate(shown.bands):
        ends = np.percentile(image.pixels_HWC[valid_HW][..., band], [0.5, 99.5])
        expected = np.clip((image.pixels_HWC[:, :, band] - ends[0]) / (ends[1] - ends[0]) * 255, 0, 255)
        np.testing.assert_allclose(picture[:, :, colour], expected, atol=0.51)


def test_three_bands_in_another_order_are_put_right_and_said():
    image = raster("uint8", interpretations=("blue", "green", "red"))
    shown = Display.of(image)
    np.testing.assert_array_equal(shown(image), image.pixels_HWC[:, :, ::-1])
    assert shown.note == "bands 3, 2, 1, which the file says are red, green and blue"
    in_order = raster("uint8", interpretations=("red", "green", "blue"))
    assert Display.of(in_order).note == ""
    np.testing.assert_array_equal(Display.of(in_order)(in_order), in_order.pixels_HWC)


def test_of_two_bands_the_first_is_shown_and_said():
    shown = Display.of(image_of(np.zeros((8, 8, 2), np.uint8)))
    assert (shown.bands, shown.note) == ((0,), "band 1")
