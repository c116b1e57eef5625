"""GIF of one image (GIF89a specification, CompuServe 1990)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ImageError
from pipeline.formats.base import ICC_PROFILE, Limits, codec_errors, refuse_pixels
from pipeline.formats.palette import coloured
from pipeline.imaging.image import Domain, Image, Metadata

Bytes = NDArray[np.uint8]
_IMAGE, _EXTENSION, _TRAILER = 0x2C, 0x21, 0x3B
_CONTROL, _APPLICATION = 0xF9, 0xFF
_PROFILE = b"ICCRGBG1012"
_PASSES = ((0, 8), (4, 8), (2, 4), (1, 2))
"""First row and step of the four passes of an interlaced image."""
_MOST_CODES = 4096


@dataclass
class _Frame:
    """The one image of a file."""

    place: tuple[int, ...]
    """Left, top, width, height, on the screen."""
    interlaced: bool
    palette: bytes
    transparent: int | None
    code_size: int
    packed: bytes


@dataclass(frozen=True)
class Gif:
    """Read only. Grey where every colour of the palette is grey, else RGB; with alpha where it has any."""

    name = "gif"
    extensions = (".gif",)
    lossless = True
    read_only = True
    summary = "one image, palette and transparency: read; written with output_format png"

    def recognises(self, data: bytes) -> bool:
        """By the signature and version."""
        return data[:6] in (b"GIF87a", b"GIF89a")

    def decode(self, data: bytes, limits: Limits) -> Image:
        """uint8; several images are refused, for the first of them is not the file."""
        with codec_errors("GIF"):
            width, height, flags = struct.unpack_from("<HHB", data, 6)
            limits.check(height, width)
            frame, entries = _read(data, flags)
            left, top, wide, high = frame.place
            if left + wide > width or top + high > height:
                raise ImageError("UNREADABLE", "the image of the GIF file is larger than its screen")
            limits.check(high, wide)
            indices_HW = _rows(_unpacked(frame.packed, frame.code_size, wide * high), frame)
            pixels_HWC = coloured(indices_HW, np.frombuffer(frame.palette, np.uint8).reshape(-1, 3))
            seen_HW = (
                np.ones((high, wide), bool) if frame.transparent is None else indices_HW != frame.transparent
            )
            return _on_screen(pixels_HWC, seen_HW, (height, width), frame, entries)

    def check(self, image: Image) -> NoReturn:
        """Refuses: few photographs have 256 colours."""
        raise refuse_pixels(image, "GIF", "palettes, which are only read", "choose output_format png")

    def encode(self, image: Image) -> bytes:
        """Refuses, as ``check``."""
        self.check(image)


def _on_screen(
    pixels_HWC: Bytes,
    seen_HW: NDArray[np.bool_],
    size: tuple[int, int],
    frame: _Frame,
    entries: dict[str, Any],
) -> Image:
    """What the image leaves of the screen is transparent."""
    left, top, wide, high = frame.place
    screen_HWC = np.zeros((*size, pixels_HWC.shape[2]), np.uint8)
    alpha_HW = np.zeros(size, np.uint8)
    window = (slice(top, top + high), slice(left, left + wide))
    screen_HWC[window], alpha_HW[window] = pixels_HWC, 255 * seen_HW.astype(np.uint8)
    opaque = frame.transparent is None and (high, wide) == size
    domain = Domain.of_integers("uint8")
    metadata = Metadata("gif", entries)
    return Image(screen_HWC, domain, metadata, alpha_HW=None if opaque else alpha_HW)


def _read(data: bytes, flags: int) -> tuple[_Frame, dict[str, Any]]:
    """The image and what is said beside it, the file read to its trailer."""
    at = 13
    common, at = _palette(data, at, flags)
    frame, entries, transparent = None, {}, None
    while (kind := _byte(data, at)) != _TRAILER:
        if kind == _EXTENSION:
            label = _byte(data, at + 1)
            blocks, at = _blocks(data, at + 2)
            if label == _CONTROL and blocks[0][0] & 1:
                transparent = blocks[0][3]
            elif label == _APPLICATION and blocks[0] == _PROFILE:
                entries[ICC_PROFILE] = b"".join(blocks[1:])
        elif kind == _IMAGE:
            if frame is not None:
                raise ImageError(
                    "ANIMATED", 'a GIF of several images; take each as an image: store = "pages"'
                )
            *place, local = struct.unpack_from("<HHHHB", data, at + 1)
            own, at = _palette(data, at + 10, local)
            blocks, end = _blocks(data, at + 1)
            interlaced, packed = bool(local & 0x40), b"".join(blocks)
            frame = _Frame(tuple(place), interlaced, own or common, transparent, data[at], packed)
            at = end
        else:
            raise ImageError("UNREADABLE", "the GIF file has a block of no known kind")
    if frame is None or not frame.palette:
        raise ImageError("UNREADABLE", "the GIF file holds no image, or no colours")
    return frame, entries


def _byte(data: bytes, at: int) -> int:
    if at >= len(data):
        raise _ended()
    return data[at]


def _palette(data: bytes, at: int, flags: int) -> tuple[bytes, int]:
    """The palette at this place, where the flags tell of one, and the place after it."""
    length = 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0
    if len(data) < at + length:
        raise _ended()
    return data[at : at + length], at + length


def _blocks(data: bytes, at: int) -> tuple[list[bytes], int]:
    """Blocks up to the empty one, and the place after it."""
    blocks: list[bytes] = []
    while True:
        if at >= len(data) or at + data[at] >= len(data):
            raise _ended()
        length = data[at]
        if length == 0:
            return blocks, at + 1
        blocks.append(data[at + 1 : at + 1 + length])
        at += 1 + length


def _unpacked(packed: bytes, code_size: int, count: int) -> Bytes:
    """``count`` indices from LZW codes of growing size; ``TRUNCATED`` where they are fewer."""
    if not 1 <= code_size <= 8:
        raise ImageError("UNREADABLE", f"the GIF file has codes of {code_size} bits")
    clear = 1 << code_size
    table: list[bytes] = []
    out, have, previous = [], 0, b""
    for code in _codes(packed, code_size, table):
        if code == clear:
            table[:] = [bytes((each,)) for each in range(clear)] + [b"", b""]
            previous = b""
            continue
        if code == clear + 1 or have >= count:
            break
        entry = table[code] if code < len(table) else previous + previous[:1]
        if not entry or code > len(table):
            raise ImageError("UNREADABLE", "the GIF file has a code that stands for nothing")
        if previous and len(table) < _MOST_CODES:
            table.append(previous + entry[:1])
        out.append(entry)
        have, previous = have + len(entry), entry
    if have != count:
        reason = "TRUNCATED" if have < count else "UNREADABLE"
        raise ImageError(reason, f"the GIF file holds {have} pixels of {count}")
    return np.frombuffer(b"".join(out), np.uint8)


def _codes(packed: bytes, code_size: int, table: list[bytes]) -> Iterator[int]:
    """The codes, as wide as the growing table asks for."""
    clear = 1 << code_size
    table[:] = [bytes((each,)) for each in range(clear)] + [b"", b""]
    held = bits = 0
    for byte in packed:
        held |= byte << bits
        bits += 8
        # An entry follows each code but the first after a clear: the width is that of the next entry.
        while bits >= (width := min(max(len(table).bit_length(), code_size + 1), 12)):
            yield held & ((1 << width) - 1)
            held >>= width
            bits -= width


def _rows(indices: Bytes, frame: _Frame) -> Bytes:
    _, _, wide, high = frame.place
    stored_HW = indices.reshape(high, wide)
    if not frame.interlaced:
        return stored_HW
    order = [row for first, step in _PASSES for row in range(first, high, step)]
    rows_HW = np.empty_like(stored_HW)
    rows_HW[order] = stored_HW
    return rows_HW


def _ended() -> ImageError:
    return ImageError("TRUNCATED", "the GIF file ends early")
