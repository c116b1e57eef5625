"""Where the coded images of a NITF file stand (MIL-STD-2500C and 2500A, table A-1: the file header)."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.formats.geotiff.directory import Bytes

_DOWNGRADE, _AT_AN_EVENT, _EVENT_BYTES = slice(280, 286), b"999998", 40
"""In NITF 2.0: when the file is to be classified lower; an event is named in a field of its own."""
_HEADER_LENGTH, _IMAGES = 354, 360
_NUMBER, _SUBHEADER, _LENGTH = 3, 6, 10
"""Digits of how many images there are, and of the lengths of each one's subheader and data."""
_BEGINNINGS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51")
"""Of JPEG and of JPEG 2000."""


def coded_images(data: Bytes) -> Iterator[tuple[int, int]]:
    """First and last position of each image of JPEG or JPEG 2000; nothing where the header is none."""
    moved = 0
    if data[:9] == b"NITF02.00" and data[_DOWNGRADE] == _AT_AN_EVENT:
        moved = _EVENT_BYTES
    try:
        start = _digits(data, moved + _HEADER_LENGTH, _IMAGES - _HEADER_LENGTH)
        number, at = _digits(data, moved + _IMAGES, _NUMBER), moved + _IMAGES + _NUMBER
        for _ in range(number):
            start += _digits(data, at, _SUBHEADER)
            end = start + _digits(data, at + _SUBHEADER, _LENGTH)
            at += _SUBHEADER + _LENGTH
            first = _begin(data, start)
            if first is not None:
                yield first, end
            start = end
    except ValueError:  # GDAL says what is wrong
        return


def _digits(data: Bytes, at: int, count: int) -> int:
    return int(data[at : at + count])


def _begin(data: Bytes, start: int) -> int | None:
    """Of the coded data: at once, or behind a table of the blocks that are there."""
    table = data[start : start + 4]
    for first in (start, start + int.from_bytes(table, "big")):
        if data[first : first + 4].startswith(_BEGINNINGS):
            return first
    return None
