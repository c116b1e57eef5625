"""Complete or quarantined: data that end early, in every codec and container, are never an image."""

import io
import struct
import tracemalloc
from collections import Counter

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from pipeline.errors import ImageError
from pipeline.formats import decode
from pipeline.formats.completeness import packbits_end
from pipeline.formats.webp_ends import was_not_written
from pipeline.imaging.image import Image
from tests.bad_images import PHOTO, saved
from tests.cut_samples import samples

SAMPLES = samples()
ZEROS_ARE_CODES = ("packbits", "rle", "webp")
"""Codecs in which few zeros at the end may be just what their encoder writes for another image: samples that
are stored as they are, and codes that end where the stream does."""

LAST_CODE_MAY_END_IN_ZEROS = ("tiff tiff_ccitt", "tiff group3")
"""Of them one in thirty ends in a byte of zeros that belongs to its last code."""


@pytest.mark.parametrize("name", SAMPLES)
def test_data_that_end_early_are_truncated_or_not_needed(name):
    data, cuts = SAMPLES[name]
    whole = decode(data)
    outcomes = {where: outcome_of(damaged, whole) for where, damaged in cuts(data)}
    short = {where: outcome for where, outcome in outcomes.items() if where.startswith("zeros ")}
    others = {outcomes.pop(f"half {end}") for end in ("ones", "repeated", "random")}
    assert others <= {"TRUNCATED", "UNREADABLE"}, others
    assert set(outcomes.values()) - {*short.values()} <= {"TRUNCATED", "equal"}, outcomes
    if name in LAST_CODE_MAY_END_IN_ZEROS:
        short = {where: outcome for where, outcome in short.items() if where not in ("zeros 1", "zeros 2")}
    if not any(codec in name.lower() for codec in ZEROS_ARE_CODES):
        assert set(short.values()) <= {"TRUNCATED", "UNREADABLE", "equal"}, outcomes
    assert outcomes["half zeros"] == outcomes["cut at 0.5"] == "TRUNCATED"


def outcome_of(data: bytes, whole: Image) -> str:
    """The reason it is refused for, or whether it is the same image."""
    try:
        image = decode(data)
    except ImageError as error:
        return error.reason
    return "equal" if np.array_equal(image.pixels_HWC, whole.pixels_HWC) else "other pixels"


def webp_stream(data: bytes) -> bytes:
    return data[20 : 20 + int.from_bytes(data[16:20], "little")]


def pictures(count: int):
    rng = np.random.default_rng(0)
    black, white = (np.full_like(PHOTO, value) for value in (0, 255))
    for number in range(count):
        height, width = rng.integers(8, PHOTO.shape[0], 2)
        picture = (PHOTO, rng.integers(0, 256, PHOTO.shape, np.uint8), black, white)[number % 4]
        yield np.ascontiguousarray(picture[:height, :width]), int(rng.integers(1, 101))


def test_whole_lossy_images_end_as_their_encoders_end_them():
    """That of libwebp, and that of RFC 6386, which writes three more bytes of zeros."""
    for picture_HWC, quality in pictures(60):
        stream = webp_stream(imagecodecs.webp_encode(picture_HWC, level=quality, lossless=False))
        assert stream.endswith(b"\0")
        assert not was_not_written(b"VP8 ", stream)
        assert not was_not_written(b"VP8 ", stream + bytes(3))
        assert decode(saved(picture_HWC, "AVIF", quality=quality)).samples.shape == picture_HWC.shape


def test_whole_faxes_are_whole_where_a_code_ends_in_zeros():
    """Their last bytes may be zeros, and rows of white are what a decoder makes of missing ones too."""
    for picture_HWC, _ in pictures(60):
        bilevel = Pillow.fromarray(picture_HWC[:, :, 0]).convert("1")
        for name in ("tiff_ccitt", "group3", "group4"):
            found = decode(saved(bilevel, "TIFF", compression=name)).pixels_HWC[:, :, 0]
            assert np.array_equal(found, np.asarray(bilevel.convert("L"))), (name, picture_HWC.shape)


def test_few_lossy_images_whose_end_was_not_written_look_as_if_it_were():
    """Those are within six bytes of what an encoder writes for the image that they decode to."""
    found: Counter[str] = Counter()
    for picture_HWC, quality in pictures(40):
        data = bytes(imagecodecs.webp_encode(picture_HWC, level=quality, lossless=False))
        end = 20 + len(webp_stream(data))
        for zeros in (4, 12, 40):
            if end > 8 * zeros:
                found[outcome_of(data[: end - zeros] + bytes(zeros) + data[end:], decode(data))] += 1
    assert found.total() > 60
    assert found["other pixels"] < found.total() / 6, found


def test_an_arithmetic_jpeg_is_whole_without_the_zeros_at_its_end():
    """Encoders leave them out (T.81, D.1.8): with more data behind them the same codes are another image."""
    tables = b"\xff\xdb\0\x43\0" + bytes([1]) * 64
    frame = struct.pack(">HHBHHBBBB", 0xFFC9, 11, 8, 512, 512, 1, 1, 0x11, 0)
    conditioning = b"\xff\xcc\0\x06\0\x10\x10\x05"
    scan = b"\xff\xda\0\x08\x01\x01\0\0\x3f\0" + b"\xff\0\xf8\x43\x90\xa8"
    image = decode(b"\xff\xd8" + tables + frame + conditioning + scan + b"\xff\xd9")
    assert image.pixels_HWC.shape == (512, 512, 1)
    assert image.pixels_HWC.max() == 0, "black all over"


def test_a_progressive_jpeg_closed_again_inside_its_last_scan_is_truncated():
    data = saved(PHOTO, "JPEG", quality=90, progressive=True)
    with pytest.raises(ImageError) as refusal:
        decode(data[:-40] + b"\xff\xd9")
    assert refusal.value.reason == "TRUNCATED"


def lossless_webp(samples_HWC: np.ndarray, quality: int) -> tuple[bytes, int, int]:
    """The file, and where its one stream begins and ends."""
    data = saved(samples_HWC, "WEBP", lossless=True, quality=quality, method=0)
    start = data.index(b"VP8L") + 8
    return data, start, start + int.from_bytes(data[start - 4 : start], "little")


@pytest.mark.parametrize("quality", [0, 100])
def test_a_lossless_webp_may_end_in_zeros_of_its_own_and_in_no_others(quality):
    black = np.pad(PHOTO, ((0, 200), (0, 0), (0, 0)))
    assert np.array_equal(decode(lossless_webp(black, quality)[0]).samples, black)
    data, start, end = lossless_webp(PHOTO, quality)
    for zeros in (16, 100, (end - start) // 16, (end - start) // 2):
        with pytest.raises(ImageError) as refusal:
            decode(data[: end - zeros] + bytes(zeros) + data[end:])
        assert refusal.value.reason == "TRUNCATED"


@pytest.mark.parametrize("name", ["tiff jpeg Pillow", "geotiff JPEG tiles"])
def test_jpeg_tables_that_end_in_zeros_are_not_taken_for_tables(name):
    """All strips and tiles share them: every pixel would be another one."""
    data, _ = SAMPLES[name]
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        tag = file.pages[0].tags[347]
    half, end = tag.valueoffset + tag.count // 2, tag.valueoffset + tag.count
    with pytest.raises(ImageError) as refusal:
        decode(data[:half] + bytes(end - half) + data[end:])
    assert refusal.value.reason == "TRUNCATED"


def test_runs_of_packbits_are_counted_and_not_unpacked_beyond_their_place():
    """25 MB of runs would be 1.6 GB of pixels: no more memory is taken than the strip has."""
    strip = imagecodecs.packbits_encode(bytes(100))
    assert packbits_end(strip, (100,))
    assert packbits_end(strip + b"\0", (100,))
    assert not packbits_end(strip, (99, 101))
    tracemalloc.start()
    assert not packbits_end(b"\x81\0" * (1 << 20), (100,))
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 2}])
def test_a_jpeg_without_a_part_between_two_restart_markers_is_refused(options):
    data = saved(PHOTO, "JPEG", quality=90, restart_marker_rows=1, **options)
    np.testing.assert_array_equal(decode(data).pixels_HWC, np.asarray(Pillow.open(io.BytesIO(data))))
    begin = data.index(b"\xff\xda")
    places = [at for number in range(3) if (at := data.index(bytes((0xFF, 0xD0 + number)), begin))]
    for first, last in ((places[0], places[1]), (places[0], places[2])):
        with pytest.raises(ImageError) as refusal:
            decode(data[:first] + data[last:])
        assert refusal.value.reason in ("UNREADABLE", "TRUNCATED")


def test_restart_markers_of_a_thumbnail_are_none_of_the_image():
    thumbnail = saved(PHOTO, "JPEG", restart_marker_blocks=1)
    at = thumbnail.index(b"\xff\xd1")
    note = b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0" + thumbnail[:at] + thumbnail[thumbnail.index(b"\xff\xd3") :]
    data = saved(PHOTO, "JPEG", restart_marker_blocks=2)
    segment = b"\xff\xe1" + struct.pack(">H", len(note) + 2) + note
    np.testing.assert_array_equal(
        decode(data[:2] + segment + data[2:]).pixels_HWC, np.asarray(Pillow.open(io.BytesIO(data)))
    )


def test_a_strip_of_jpeg_without_a_part_between_two_restart_markers_is_refused():
    data = saved(PHOTO, "JPEG", quality=90, restart_marker_blocks=1)
    first, last = data.index(b"\xff\xd2"), data.index(b"\xff\xd3")

    def strip(stream: bytes) -> bytes:
        file = io.BytesIO()
        tifffile.imwrite(
            file, iter([stream]), shape=PHOTO.shape, dtype="uint8", photometric="ycbcr", compression="jpeg",
            rowsperstrip=PHOTO.shape[0], metadata=None,
        )  # fmt: skip
        return file.getvalue()

    assert decode(strip(data)).size == PHOTO.shape
    with pytest.raises(ImageError) as refusal:
        decode(strip(data[:first] + data[last:]))
    assert refusal.value.reason == "TRUNCATED"
