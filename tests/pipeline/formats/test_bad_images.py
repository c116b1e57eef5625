"""Files that must be refused: with the right reason, cheaply, and without quoting them."""

import pickle
import struct
import time
import tracemalloc
from contextlib import suppress
from functools import partial

import imagecodecs
import numpy as np
import pytest

from pipeline.errors import ImageError
from pipeline.formats import FORMATS, decode
from pipeline.formats.coded_size import check_coded_size
from tests.bad_images import BAD, PHOTO, saved


@pytest.mark.parametrize("name", BAD)
def test_bad_file_is_refused_for_the_right_reason(name):
    data, reason = BAD[name]
    with pytest.raises(ImageError) as refusal:
        decode(data)
    assert refusal.value.reason == reason, str(refusal.value)
    assert pickle.loads(pickle.dumps(refusal.value)).reason == reason


@pytest.mark.parametrize("name", [name for name in BAD if name.startswith("bomb")])
def test_bombs_cost_neither_memory_nor_time(name):
    data, _ = BAD[name]
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises(ImageError, match="limit of 100000000"):
        decode(data)
    seconds, (_, peak) = time.perf_counter() - start, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20
    assert seconds < 1


CODED = {
    "jpeg": (7, imagecodecs.jpeg8_encode),
    "jpeg 2000": (34712, partial(imagecodecs.jpeg2k_encode, level=0, reversible=True)),
    "webp": (50001, partial(imagecodecs.webp_encode, level=0, method=0, lossless=True)),
    "jpeg-ls": (None, imagecodecs.jpegls_encode),
}


@pytest.mark.parametrize("name", CODED)
def test_a_strip_or_frame_that_holds_far_more_than_its_page_is_not_decoded(name):
    compression, encode = CODED[name]
    bands = 3 if name == "webp" else 1
    stream = bytes(encode(np.zeros((2100, 2100, bands)[: 2 + (bands > 1)], np.uint8)))
    check_coded_size(stream, 2100 * 2100)
    with pytest.raises(ImageError, match="holds 2100 x 2100") as refusal:
        check_coded_size(stream, 16 * 16)
    assert refusal.value.reason == "TOO_LARGE"
    for cut in range(0, 60, 7):
        with suppress(ImageError):  # and nothing else
            check_coded_size(stream[:cut], 16 * 16)
    if compression is not None:
        with pytest.raises(ImageError, match="holds 2100 x 2100"):
            decode(_page(compression, stream, bands))


def _page(compression: int, strip: bytes, bands: int) -> bytes:
    """A TIFF of 16 x 16 pixels in one strip."""
    tags = {256: 16, 257: 16, 258: 8, 259: compression, 262: 2 if bands == 3 else 1, 273: 122, 277: bands}
    tags |= {278: 16, 279: len(strip)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4) + strip


def test_unknown_formats_are_answered_with_the_known_ones():
    with pytest.raises(ImageError, match=", ".join(FORMATS)):
        decode(BAD["text.png"][0])


SECRET = "Jane-Doe-1970"
PRIVATE = {
    "tiff": saved(PHOTO, "TIFF", description=SECRET),
    "jpeg": saved(PHOTO, "JPEG", comment=SECRET.encode()),
    "webp": saved(PHOTO, "WEBP", xmp=SECRET.encode()),
    "png": saved(PHOTO, "PNG", exif=SECRET.encode()),
}


@pytest.mark.parametrize("name", PRIVATE)
def test_errors_and_logs_quote_nothing_of_the_file(name, caplog, capfd):
    good = PRIVATE[name]
    place = good.index(SECRET.encode())
    for data in (good[: place + 8], good[: len(good) // 2], good[:20] + bytes(20) + good[40:]):
        with pytest.raises(ImageError) as refusal:
            decode(data)
        assert (
            SECRET[:5] not in f"{refusal.value} {refusal.value.__cause__} {caplog.text} {capfd.readouterr()}"
        )
