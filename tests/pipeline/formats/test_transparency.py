"""What nobody sees is no data: pixels of opacity 0, however a format says so."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from pipeline.conditions import masks
from pipeline.errors import ImageError
from pipeline.formats import decode
from pipeline.jobs.conditions import MaskSpec

HIDDEN = (slice(2, 6), slice(3, 9))
SIDE = 16


def samples(channels, dtype="uint8", seed=0):
    """Noise, the last channel its opacity: none within ``HIDDEN``, little at the first pixel."""
    top = np.iinfo(dtype).max
    found = np.random.default_rng(seed).integers(1, top, (SIDE, SIDE, channels), dtype=dtype)
    found[..., -1] = top
    found[(*HIDDEN, -1)] = 0
    found[0, 0, -1] = 1
    return found


def with_pillow(kind, image, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def palette(kind):
    indices = np.random.default_rng(0).integers(0, 5, (SIDE, SIDE), dtype=np.uint8)
    indices[HIDDEN] = 7
    image = Pillow.fromarray(indices, "P")
    image.putpalette([each for i in range(256) for each in (i, 2 * i % 256, 9)])
    return with_pillow(kind, image, transparency=7)


def colour_key(mode, key):
    found = samples(2 if mode == "L" else 4)[..., : len(mode)]
    found[found == 200] = 201
    found[HIDDEN] = 200
    return with_pillow("PNG", Pillow.fromarray(found.squeeze(), mode), transparency=key)


def tiff(channels, dtype):
    file = io.BytesIO()
    photometric = "rgb" if channels == 4 else "minisblack"
    tifffile.imwrite(file, samples(channels, dtype), photometric=photometric, extrasamples=["unassalpha"])
    return file.getvalue()


def wide_png(channels):
    import imagecodecs

    return imagecodecs.png_encode(samples(channels, "uint16"))


FILES = {
    "png RGBA": lambda: with_pillow("PNG", Pillow.fromarray(samples(4))),
    "png LA": lambda: with_pillow("PNG", Pillow.fromarray(samples(2), "LA")),
    "png palette": lambda: palette("PNG"),
    "png grey key": lambda: colour_key("L", 200),
    "png colour key": lambda: colour_key("RGB", (200, 200, 200)),
    "png RGBA 16": lambda: wide_png(4),
    "png LA 16": lambda: wide_png(2),
    "gif": lambda: palette("GIF"),
    "tiff RGBA": lambda: tiff(4, "uint8"),
    "tiff LA 16": lambda: tiff(2, "uint16"),
    "webp": lambda: with_pillow("WEBP", Pillow.fromarray(samples(4)), lossless=True, exact=True),
}


@pytest.mark.parametrize("name", FILES)
def test_hidden_pixels_hold_no_data_and_keep_what_is_stored(name):
    image = decode(FILES[name]())
    expected = np.ones((SIDE, SIDE), bool)
    expected[HIDDEN] = False
    assert np.array_equal(image.valid_HW, expected)
    restored = image.with_pixels(np.zeros_like(image.pixels_HWC))
    assert np.array_equal(restored.pixels_HWC[HIDDEN], image.pixels_HWC[HIDDEN])
    assert not restored.pixels_HWC[expected].any()
    spec = MaskSpec(own="alpha")
    filled = masks.without_holes(image, masks.of_own(image, "alpha"), spec)
    assert filled.valid_HW.all()
    assert (filled.alpha_HW != 0).all()


def test_what_is_seen_everywhere_is_as_before_and_what_is_seen_nowhere_is_refused():
    opaque = samples(4)
    opaque[..., 3] = np.maximum(opaque[..., 3], 1)
    assert decode(with_pillow("PNG", Pillow.fromarray(opaque))).valid_HW is None
    opaque[..., 3] = 0
    with pytest.raises(ImageError, match="wholly transparent") as error:
        decode(with_pillow("PNG", Pillow.fromarray(opaque)))
    assert error.value.reason == "ALL_NODATA"
