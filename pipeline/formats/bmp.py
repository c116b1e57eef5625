"""BMP, Windows and OS/2 bitmaps (Microsoft, "Bitmap header types"; wingdi.h)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ImageError
from pipeline.formats.base import ICC_PROFILE, Limits, codec_errors, refuse_pixels
from pipeline.formats.bmp_runs import unpacked_runs
from pipeline.formats.palette import coloured
from pipeline.imaging.image import Domain, Image, Metadata

Bytes = NDArray[np.uint8]
_CORE, _INFO, _WITH_COLOURS, _WITH_ALPHA, _WITH_PROFILE = 12, 40, 52, 56, 124
_HEADERS = (_CORE, _INFO, _WITH_COLOURS, _WITH_ALPHA, 64, 108, _WITH_PROFILE)
_PLAIN, _RUNS = 0, {1: 8, 2: 4}
_FIELDS = (3, 6)
_MASKS = {16: (0x7C00, 0x03E0, 0x001F, 0), 32: (0xFF0000, 0xFF00, 0xFF, 0)}


@dataclass(frozen=True)
class _Header:
    size: int
    width: int
    height: int
    top_down: bool
    bits: int
    compression: int
    masks: tuple[int, int, int, int]
    """Of red, green, blue and alpha, for 16 and 32 bits."""
    palette_N3: Bytes
    pixels: int
    """Where they start."""


@dataclass(frozen=True)
class Bmp:
    """Read only. Palettes, runs, 16, 24 and 32 bits; the fourth byte is alpha only where a mask says so."""

    name = "bmp"
    extensions = (".bmp", ".dib")
    lossless = True
    read_only = True
    summary = "1 to 32 bit, palettes, runs, alpha: read; written with output_format png"

    def recognises(self, data: bytes) -> bool:
        """By the signature and the size of the header that follows: two letters alone are many files."""
        return data[:2] == b"BM" and len(data) >= 18 and struct.unpack_from("<I", data, 14)[0] in _HEADERS

    def decode(self, data: bytes, limits: Limits) -> Image:
        """uint8: grey where every colour of a palette is grey, else RGB."""
        with codec_errors("BMP"):
            header = _read_header(data, limits)
            pixels_HWC, alpha_HW = _pixels(data, header)
            if not header.top_down:
                pixels_HWC, alpha_HW = pixels_HWC[::-1], None if alpha_HW is None else alpha_HW[::-1]
            return Image(
                np.ascontiguousarray(pixels_HWC),
                Domain.of_integers("uint8"),
                Metadata("bmp", _entries(data, header)),
                alpha_HW=None if alpha_HW is None else np.ascontiguousarray(alpha_HW),
            )

    def check(self, image: Image) -> NoReturn:
        """Refuses: what a BMP holds, a PNG holds in less."""
        raise refuse_pixels(image, "BMP", "bitmaps, which are only read", "choose output_format png")

    def encode(self, image: Image) -> bytes:
        """Refuses, as ``check``."""
        self.check(image)


def _read_header(data: bytes, limits: Limits) -> _Header:
    declared, pixels, size = struct.unpack_from("<I4xII", data, 2)
    if declared > len(data):
        raise _ended()
    if size == _CORE:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression = colours = 0
    else:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
        (colours,) = struct.unpack_from("<I", data, 46)
    limits.check(abs(height), width)
    if bits not in (1, 2, 4, 8, 16, 24, 32) or (
        compression in _RUNS and (bits != _RUNS[compression] or height < 0)
    ):
        raise ImageError("UNREADABLE", f"no BMP has {bits} bits in this way")
    if compression not in (_PLAIN, *_RUNS, *_FIELDS) or (compression in _FIELDS and bits not in _MASKS):
        raise ImageError("UNREADABLE", "the BMP file is compressed in a way that is not read; save it as PNG")
    masks = _MASKS.get(bits, (0, 0, 0, 0))
    after = 14 + size
    if compression in _FIELDS:
        count = 4 if compression == 6 or size >= _WITH_ALPHA else 3
        masks = (*struct.unpack_from(f"<{count}I", data, 54), 0)[:4]
        after = max(after, 54 + 4 * count) if size == _INFO else after
    palette_N3 = _palette(data, after, pixels, bits, colours, 3 if size == _CORE else 4)
    return _Header(size, width, abs(height), height < 0, bits, compression, masks, palette_N3, pixels)


def _palette(data: bytes, start: int, end: int, bits: int, colours: int, stride: int) -> Bytes:
    """N3 of red, green, blue: as many as are told, and as fit before the pixels."""
    if bits > 8:
        return np.zeros((0, 3), np.uint8)
    count = min(colours or 1 << bits, 1 << bits, max(end - start, 0) // stride)
    if count < 1 or len(data) < start + count * stride:
        raise ImageError("UNREADABLE", "the BMP file has no palette")
    table = np.frombuffer(data, np.uint8, count * stride, start).reshape(count, stride)
    return np.ascontiguousarray(table[:, 2::-1])


def _pixels(data: bytes, header: _Header) -> tuple[Bytes, Bytes | None]:
    """Rows in the order of the file, and opacity."""
    height, width, bits = header.height, header.width, header.bits
    if header.compression in _RUNS:
        indices_HW = unpacked_runs(data[header.pixels :], height, width, bits)
        return coloured(indices_HW, header.palette_N3), None
    stride = (width * bits + 31) // 32 * 4
    # The padding of the last row is left out by some writers.
    needed = stride * (height - 1) + (width * bits + 7) // 8
    stored = data[header.pixels : header.pixels + stride * height]
    if len(stored) < needed:
        raise _ended()
    rows = np.frombuffer(stored.ljust(stride * height, b"\0"), np.uint8).reshape(height, stride)
    if bits <= 8:
        singles = np.unpackbits(rows, axis=1).reshape(height, -1, bits)
        weights = 1 << np.arange(bits - 1, -1, -1)
        indices_HW = (singles[:, :width] @ weights).astype(np.uint8) if bits < 8 else rows[:, :width]
        return coloured(indices_HW, header.palette_N3), None
    if bits == 24:
        return rows[:, : 3 * width].reshape(height, width, 3)[..., ::-1], None
    words_HW = np.ascontiguousarray(rows).view(f"<u{bits // 8}")[:, :width].astype(np.uint32)
    parts = [_field(words_HW, mask) for mask in header.masks if mask]
    if len(parts) < 3 or not all(header.masks[:3]):
        raise ImageError("UNREADABLE", "the BMP file has a colour without a mask")
    return np.stack(parts[:3], axis=-1), parts[3] if len(parts) == 4 else None


def _field(words_HW: NDArray[np.uint32], mask: int) -> Bytes:
    """The bits of a mask as 0 to 255."""
    shift = (mask & -mask).bit_length() - 1
    most = mask >> shift
    if most & (most + 1) or most > 255:
        raise ImageError("UNREADABLE", "the BMP file has colours of more than 8 bits; save it as PNG")
    values_HW = (words_HW & np.uint32(mask)) >> np.uint32(shift)
    return ((values_HW * 255 + most // 2) // most).astype(np.uint8)


def _entries(data: bytes, header: _Header) -> dict[str, Any]:
    """The ICC profile, where it is in the file."""
    if header.size != _WITH_PROFILE or data[70:74] != b"DEBM":  # "MBED", little-endian
        return {}
    at, length = struct.unpack_from("<II", data, 126)
    profile = data[14 + at : 14 + at + length]
    if len(profile) < length:
        raise _ended()
    return {ICC_PROFILE: profile}


def _ended() -> ImageError:
    return ImageError("TRUNCATED", "the BMP file ends early")
