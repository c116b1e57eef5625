"""Photographs are drawn as viewers turn them: every orientation, against Pillow's own turn."""

import io

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
from skimage import data

from pipeline.formats import decode
from pipeline.report.upright import orientation_of, upright


def photograph(orientation, kind="PNG"):
    exif = PIL.Image.Exif()
    exif[274] = orientation
    buffer = io.BytesIO()
    PIL.Image.fromarray(data.astronaut()[:40, :60]).save(buffer, kind, exif=exif)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_as_pillow_turns_it(orientation, kind):
    stored = photograph(orientation, kind)
    image = decode(stored)
    expected = PIL.ImageOps.exif_transpose(PIL.Image.open(io.BytesIO(stored)))
    assert orientation_of(image) == orientation
    np.testing.assert_array_equal(upright(image.pixels_HWC, orientation_of(image)), np.asarray(expected))


def test_an_orientation_that_is_none_leaves_the_pixels():
    assert orientation_of(decode(photograph(9))) == 1
