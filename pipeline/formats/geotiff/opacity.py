"""Colours that are multiplied by the opacity: GDAL reads them as any others, and cannot be told to say so.

TIFF 6.0, section 18 (ExtraSamples); the word is changed where it stands, in overviews too.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from mmap import mmap

from pipeline.formats.geotiff.directory import BYTE_ORDERS, EXTRA_SAMPLES
from pipeline.formats.geotiff.header import RasterHeader

_ASSOCIATED, _UNASSOCIATED = 1, 2


def associated(data: bytes | mmap, header: RasterHeader) -> list[tuple[int, bytes]]:
    """Where a file of GDAL's says that the colours are not multiplied, and what it is to say."""
    if not header.premultiplied:
        return []
    order = BYTE_ORDERS[data[:2]]
    found = []
    for at, count in _extra_samples(data, order):
        kinds = struct.unpack_from(f"{order}{count}H", data, at)
        right = [_ASSOCIATED if kind == _UNASSOCIATED else kind for kind in kinds]
        found.append((at, struct.pack(f"{order}{count}H", *right)))
    return found


def _extra_samples(data: bytes | mmap, order: str) -> Iterator[tuple[int, int]]:
    """Where the values stand, and how many, in every directory of the file."""
    is_big = data[2:4] in (b"\x2b\0", b"\0\x2b")
    counter, offset, size = ("Q", "Q", 20) if is_big else ("H", "I", 12)
    room = struct.calcsize(offset)
    at = struct.unpack_from(f"{order}{offset}", data, 8 if is_big else 4)[0]
    while at:
        number = struct.unpack_from(f"{order}{counter}", data, at)[0]
        first = at + struct.calcsize(counter)
        for entry in range(first, first + number * size, size):
            code, _, count = struct.unpack_from(f"{order}HH{offset}", data, entry)
            if code == EXTRA_SAMPLES:
                place = entry + size - room
                inline = 2 * count <= room
                yield place if inline else struct.unpack_from(f"{order}{offset}", data, place)[0], count
        at = struct.unpack_from(f"{order}{offset}", data, first + number * size)[0]
