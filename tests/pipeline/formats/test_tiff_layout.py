"""The samples of a TIFF file leave in the order in which they came."""

import io

import numpy as np
import pytest
import tifffile

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
