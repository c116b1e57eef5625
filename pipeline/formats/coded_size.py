"""How large an image a compressed strip, tile or frame says that it holds: its decoder allocates by that.

What is around it says how large it is to be; a few kilobytes of black hold thousands of times as much.
"""

from __future__ import annotations

import struct

from pipeline.errors import ImageError
from pipeline.formats.jpeg2000_boxes import codestreams
from pipeline.formats.webp import header_of
from pipeline.formats.webp_ends import read_chunks

_TIMES = 4
"""More than there is room for: last strips are as high as the others, sides multiples of blocks."""
_LARGEST_SIDE = 1 << 31
"""No header means more: it is none."""
_FREE = 1 << 20
"""Pixels that cost nothing."""
_COMPONENTS = 40
"""Where the codestream of JPEG 2000 says how many components it has (T.800, table A.9)."""
_STANDALONE = frozenset((0x01, *range(0xD0, 0xD9)))
_FRAMES = frozenset((*range(0xC0, 0xD0), 0xF7)) - {0xC4, 0xC8, 0xCC}
"""Frame headers of JPEG (T.81, table B.1) and of JPEG-LS (T.87, annex C)."""


def check_coded_size(stream: bytes, pixels: int) -> None:
    """``ImageError`` for a JPEG, JPEG-LS, JPEG 2000 or WebP stream that says it holds far more pixels:
    ``TOO_LARGE``, or ``UNREADABLE`` where no image is as large.
    """
    height, width, _ = coded_shape(stream)
    if height * width > _TIMES * max(pixels, _FREE):
        reason = "TOO_LARGE" if max(height, width) <= _LARGEST_SIDE else "UNREADABLE"
        raise ImageError(
            reason, f"a strip, tile or frame of {pixels} pixels holds {width} x {height} when decoded"
        )


def coded_shape(stream: bytes) -> tuple[int, int, int]:
    """Height, width and samples of a pixel; zeros where no header says it, and for the samples of WebP."""
    try:
        if stream.startswith(b"\xff\xd8"):
            return _jpeg_shape(stream)
        if stream.startswith(b"RIFF"):
            return *header_of(list(read_chunks(stream)))[:2], 0
        for codestream in codestreams(stream):
            right, bottom, left, top = struct.unpack_from(">4I", codestream, 8)
            samples = struct.unpack_from(">H", codestream, _COMPONENTS)[0]
            return max(bottom - top, 0), max(right - left, 0), samples
    except (ImageError, struct.error, IndexError):  # whoever decodes it says what is wrong
        pass
    return 0, 0, 0


def _jpeg_shape(stream: bytes) -> tuple[int, int, int]:
    at = 2
    while at + 4 <= len(stream) and stream[at] == 0xFF:
        marker = stream[at + 1]
        if marker == 0xFF or marker in _STANDALONE:
            at += 1 if marker == 0xFF else 2
            continue
        if marker in _FRAMES:
            _, height, width, samples = struct.unpack_from(">BHHB", stream, at + 4)
            return height, width, samples
        at += 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
    return 0, 0, 0
