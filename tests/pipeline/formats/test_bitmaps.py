"""BMP and GIF: Pillow as referee, the kinds it cannot write by hand, and what is damaged."""

import io
import struct

import numpy as np
import pytest
from PIL import Image as Pillow

from pipeline.errors import ImageError
from pipeline.formats import FORMATS, decode
from tests.bad_images import saved
from tests.format_contract import check_every_cut_is_refused, check_refuses, image_of

RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (21, 30, 3), dtype=np.uint8)


def pillow(mode):
    return Pillow.fromarray(PHOTO).convert(mode)


def by_pillow(data, mode):
    return np.array(Pillow.open(io.BytesIO(data)).convert(mode))


def bmp(bits, pixels, *, width=3, height=2, compression=0, size=40, masks=(), palette=b""):
    head = struct.pack(
        "<IiiHHIIiiII", size, width, height, 1, bits, compression, 0, 0, 0, len(palette) // 4, 0
    )
    fields = struct.pack(f"<{len(masks)}I", *masks)
    rest = (head + fields).ljust(size, b"\0") if size > 40 else head + fields
    start = 14 + len(rest) + len(palette)
    return struct.pack("<2sIII", b"BM", start + len(pixels), 0, start) + rest + palette + pixels


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_bitmaps_have_the_pixels_that_pillow_sees(mode):
    data = saved(pillow(mode), "BMP")
    channels = 1 if mode in ("1", "L") else 3
    expected = by_pillow(data, "L" if channels == 1 else "RGB").reshape(21, 30, channels)
    np.testing.assert_array_equal(decode(data).pixels_HWC, expected)
    assert decode(data).alpha_HW is None
    check_every_cut_is_refused(data)


def test_alpha_is_what_a_mask_calls_alpha():
    pixels = RNG.integers(0, 256, (2, 3, 4), dtype=np.uint8)
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    told = decode(bmp(32, pixels.tobytes(), compression=3, size=108, masks=masks))
    np.testing.assert_array_equal(told.pixels_HWC, pixels[::-1, :, 2::-1])
    np.testing.assert_array_equal(told.alpha_HW, pixels[::-1, :, 3])
    assert decode(bmp(32, pixels.tobytes())).alpha_HW is None, "a byte that is not used"


def test_rows_from_the_top_and_masks_of_sixteen_bits():
    words = np.array([[0xF800, 0x07E0, 0x001F], [0, 0xFFFF, 0x0841]], "<u2")
    padded = b"".join(row.tobytes() + b"\0\0" for row in words)
    told = decode(bmp(16, padded, height=-2, compression=3, masks=(0xF800, 0x07E0, 0x001F)))
    expected = [[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[0, 0, 0], [255, 255, 255], [8, 8, 8]]]
    np.testing.assert_array_equal(told.pixels_HWC, expected)


PALETTE = bytes([0, 0, 0, 0, 1, 2, 3, 0, 10, 20, 30, 0]).ljust(64, b"\7")


@pytest.mark.parametrize(
    ("bits", "runs"),
    [(8, b"\3\1\0\0\0\3\2\1\0\0\0\1"), (4, b"\3\x11\0\0\0\3\x21\x00\0\1")],
)
def test_runs(bits, runs):
    data = bmp(bits, runs, compression={8: 1, 4: 2}[bits], palette=PALETTE)
    np.testing.assert_array_equal(decode(data).pixels_HWC[..., 0], [[30, 3, 0], [3, 3, 3]])
    for fault, reason in (
        (runs[:-2], "TRUNCATED"),
        (b"\3\1\0\1", "UNREADABLE"),
        (b"\4\1\0\1", "UNREADABLE"),
        (bytes(40), "UNREADABLE"),
    ):
        with pytest.raises(ImageError) as refusal:
            decode(bmp(bits, fault, compression={8: 1, 4: 2}[bits], palette=PALETTE))
        assert refusal.value.reason == reason


@pytest.mark.parametrize("interlace", [0, 1])
@pytest.mark.parametrize("mode", ["L", "P"])
def test_gifs_have_the_pixels_that_pillow_sees(mode, interlace):
    data = saved(pillow(mode), "GIF", interlace=interlace)
    channels = 1 if mode == "L" else 3
    expected = by_pillow(data, "L" if channels == 1 else "RGB").reshape(21, 30, channels)
    np.testing.assert_array_equal(decode(data).pixels_HWC, expected)
    check_every_cut_is_refused(data)


def test_a_large_gif_fills_its_table_of_codes():
    noise = Pillow.fromarray(RNG.integers(0, 256, (150, 150), dtype=np.uint8))
    np.testing.assert_array_equal(decode(saved(noise, "GIF")).pixels_HWC[..., 0], np.array(noise))


def test_transparent_pixels_and_a_screen_that_is_larger_than_the_image():
    photo = pillow("P")
    data = bytearray(saved(photo, "GIF", transparency=photo.getpixel((3, 2)), optimize=False))
    np.testing.assert_array_equal(decode(bytes(data)).alpha_HW, by_pillow(bytes(data), "RGBA")[..., 3])
    assert decode(bytes(data)).alpha_HW[2, 3] == 0
    data[6:8] = (31).to_bytes(2, "little")
    assert decode(bytes(data)).alpha_HW[:, 30].max() == 0


def test_an_animation_is_no_image():
    frames = [pillow("P"), pillow("P").rotate(90)]
    with pytest.raises(ImageError) as refusal:
        decode(saved(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert refusal.value.reason == "ANIMATED"


def test_codes_that_stop_before_the_last_pixel_are_truncated():
    data = bytearray(saved(pillow("L"), "GIF"))
    at = data.index(b"\x2c", 781)  # behind the palette
    data[at + 7 : at + 9] = (22).to_bytes(2, "little")
    data[8:10] = (22).to_bytes(2, "little")
    with pytest.raises(ImageError) as refusal:
        decode(bytes(data))
    assert refusal.value.reason == "TRUNCATED"


@pytest.mark.parametrize("name", ["bmp", "gif"])
def test_they_are_only_read(name):
    check_refuses(FORMATS[name], image_of(name, "uint8", 3, alpha=False))
