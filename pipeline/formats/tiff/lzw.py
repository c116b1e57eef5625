"""Lempel-Ziv-Welch strips and tiles of TIFF (TIFF 6.0, section 13), decoded by libtiff.

tifffile would use imagecodecs' own decoder, which on corrupt data reads outside its buffers and ends the
process (seen with imagecodecs 2026.3.6). libtiff's refuses them.
"""

from __future__ import annotations

import struct

import imagecodecs

from pipeline.formats.exif import Directory, Tag, write_directory

LZW = 5
_LONG = 4
_HEADER = b"II*\0" + struct.pack("<I", 8)


def decode_lzw(encoded: bytes, size: int, fill_order: int) -> bytes:
    """The first ``size`` bytes that a strip or tile holds.

    ``fill_order``: 2 where the bits of each byte are stored in reverse. Raises
    ``imagecodecs.TiffError`` on corrupt data and where there are fewer bytes.
    """
    values = {
        256: size,
        257: 1,
        258: 8,
        259: LZW,
        262: 1,
        266: fill_order,
        273: 0,
        277: 1,
        278: 1,
        279: len(encoded),
    }
    values[273] = len(_HEADER) + len(_directory(values))
    return imagecodecs.tiff_decode(_HEADER + _directory(values) + encoded).tobytes()


def _directory(values: dict[int, int]) -> bytes:
    """A page of one row and one strip."""
    tags = tuple(Tag(code, _LONG, 1, struct.pack("<I", value)) for code, value in values.items())
    return write_directory(Directory(tags), "<", len(_HEADER))
