"""The samples of a TIFF file leave in the order in which they came."""

import io

import imagecodecs
import numpy as np
import pytest
import tifffile

from pipeline.errors import ImageError
from pipeline.formats import decode, encode
from tests.bad_images import PHOTO, tiff


@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_opacity_stays_at_its_place(kind, place):
    samples_HWC = np.random.default_rng(place).integers(0, 255, (20, 24, 6), np.uint8)
    extras = ["unspecified"] * 2
    extras.insert(place, kind)
    file = io.BytesIO()
    tifffile.imwrite(file, samples_HWC, photometric="rgb", extrasamples=extras, planarconfig="contig")
    image = decode(file.getvalue())
    assert np.array_equal(image.alpha_HW, samples_HWC[:, :, 3 + place])
    with tifffile.TiffFile(io.BytesIO(encode(image))) as written:
        page = written.pages[0]
        assert [each.name.lower() for each in page.extrasamples] == extras
        assert np.array_equal(page.asarray(), samples_HWC)


@pytest.mark.parametrize("value", [b"\1\0\0\0\0\0\0\0", b"\0" * 8])
def test_a_resolution_over_nothing_is_none(value):
    """A damaged number must not cost an image that is whole."""
    data = tiff(PHOTO, photometric="rgb", resolution=((300, 1), (300, 1)))
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        at = file.pages[0].tags[282].valueoffset
    image = decode(data[:at] + value + data[at + 8 :])
    assert np.array_equal(decode(encode(image)).samples, PHOTO)


GREY = (3 * np.add.outer(np.arange(64), 2 * np.arange(64)) % 251).astype(np.uint8)
CODED = {
    "jpeg": imagecodecs.jpeg8_encode,
    "jpeg2000": lambda samples: imagecodecs.jpeg2k_encode(
        samples, level=0, reversible=True, codecformat="j2k"
    ),
}


def coded_tiles(compression, *tiles, tile, shape=(64, 64)):
    """A page of these tiles, whatever they hold."""
    file = io.BytesIO()
    streams = iter([bytes(CODED[compression](each)) for each in tiles])
    options = {"photometric": "minisblack" if len(shape) == 2 else "rgb", "metadata": None}
    tifffile.imwrite(file, streams, shape=shape, dtype="u1", tile=tile, compression=compression, **options)
    return file.getvalue()


@pytest.mark.parametrize("compression", CODED)
def test_tiles_of_another_shape_are_not_laid_out_anew(compression):
    image = decode(coded_tiles(compression, GREY[:, :32], GREY[:, 32:], tile=(64, 32)))
    assert np.abs(image.pixels_HWC[:, :, 0].astype(int) - GREY).max() <= (0 if compression != "jpeg" else 60)
    with pytest.raises(ImageError, match="holds 64 x 32 pixels") as refusal:
        decode(coded_tiles(compression, GREY[:32], GREY[32:], tile=(64, 32)))
    assert refusal.value.reason == "UNREADABLE"


def test_a_grey_tile_is_no_colour_and_sixteen_bits_are_not_cut_to_eight():
    with pytest.raises(ImageError, match="1 samples"):
        decode(coded_tiles("jpeg", GREY, tile=(64, 64), shape=(64, 64, 3)))
    with pytest.raises(ImageError, match="16 bits"):
        decode(coded_tiles("jpeg2000", GREY.astype(np.uint16) * 200, tile=(64, 64)))
