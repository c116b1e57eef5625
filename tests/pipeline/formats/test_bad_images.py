"""Files that must be refused: with the right reason, cheaply, and without quoting them."""

import pickle
import time
import tracemalloc

import pytest

from pipeline.errors import ImageError
from pipeline.formats import FORMATS, decode
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
