"""The boxes of an AVIF file, as far as they say what its image is (ISO/IEC 14496-12; ISO/IEC 23008-12)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction

from pipeline.errors import ImageError

_HOLDERS = {b"meta": 4, b"iprp": 0, b"ipco": 0}
"""Boxes that hold the properties of an image, and how many bytes stand before the boxes in them."""
GAIN_MAP = b"tmap"


def boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, first and last position of the contents of each box (ISO/IEC 14496-12, section 4.2)."""
    while start + 8 <= end:
        size, kind = int.from_bytes(data[start : start + 4], "big"), data[start + 4 : start + 8]
        head = 8
        if size == 1:
            size, head = int.from_bytes(data[start + 8 : start + 16], "big"), 16
        size = size or end - start  # 0: up to the end
        if size < head or start + size > end:
            raise ImageError("TRUNCATED", "the AVIF file ends inside a box")
        yield kind, start + head, start + size
        start += size
    if start != end:
        raise ImageError("TRUNCATED", "the AVIF file ends inside a box")


def properties(data: bytes) -> list[tuple[bytes, int, int]]:
    """Kind and place of everything that the file says of its images, in its order."""
    return [each for each in _descended(data, 0, len(data)) if each[0] not in _HOLDERS]


def _descended(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    for kind, first, last in boxes(data, start, end):
        yield kind, first, last
        if kind in _HOLDERS:
            yield from _descended(data, first + _HOLDERS[kind], last)


def properties_of_primary(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Those of the file's own image, and not of its opacity, its preview or its gain map."""
    found = list(_descended(data, 0, len(data)))
    places = {kind: (first, last) for kind, first, last in found}
    if not {b"pitm", b"ipma", b"ipco"} <= places.keys():
        return
    listed = list(boxes(data, *places[b"ipco"]))
    for index in _associated(data, places[b"ipma"][0], _primary(data, places[b"pitm"][0])):
        if 1 <= index <= len(listed):
            yield listed[index - 1]


def _primary(data: bytes, at: int) -> int:
    return int(struct.unpack_from(">I" if data[at] else ">H", data, at + 4)[0])


def _associated(data: bytes, at: int, item: int) -> list[int]:
    """Numbers of the item's properties; section 8.11.14 of ISO/IEC 14496-12."""
    wide_items, wide_numbers = data[at] >= 1, data[at + 3] & 1
    count = struct.unpack_from(">I", data, at + 4)[0]
    at += 8
    for _ in range(count):
        found = struct.unpack_from(">I" if wide_items else ">H", data, at)[0]
        at += 4 if wide_items else 2
        numbers, at = data[at], at + 1
        size = 2 if wide_numbers else 1
        if found == item:
            each = struct.unpack_from(f">{numbers}{'H' if wide_numbers else 'B'}", data, at)
            return [number & (0x7FFF if wide_numbers else 0x7F) for number in each]
        at += numbers * size
    return []


def code_points_at(data: bytes) -> int | None:
    """Where primaries and transfer of H.273 stand, two bytes each; ``None`` where they are not said."""
    for kind, first, _ in properties_of_primary(data):
        if kind == b"colr" and data[first : first + 4] == b"nclx":
            return first + 4
    return None


def clean_aperture(data: bytes, height: int, width: int) -> tuple[int, int, int, int] | None:
    """Top, left, height and width of what is to be seen of the image; ``None`` where that is all of it.

    Raises ``ImageError("UNREADABLE")`` where it is no whole number of pixels inside (section 12.1.4).
    """
    for kind, first, _ in properties_of_primary(data):
        if kind == b"clap":
            try:
                sides = struct.unpack_from(">IIIIiIiI", data, first)
                across, down, right, below = (Fraction(*sides[at : at + 2]) for at in range(0, 8, 2))
            except (struct.error, ZeroDivisionError):
                raise _no_aperture() from None
            return _window(height, width, (across, down, right, below))
    return None


def _window(
    height: int, width: int, aperture: tuple[Fraction, Fraction, Fraction, Fraction]
) -> tuple[int, int, int, int] | None:
    across, down, right, below = aperture
    left = Fraction(width, 2) + right - across / 2
    top = Fraction(height, 2) + below - down / 2
    window = (top, left, down, across)
    inside = 0 <= top <= height - down and 0 <= left <= width - across and down >= 1 and across >= 1
    if not inside or any(side.denominator != 1 for side in window):
        raise _no_aperture()
    found = (int(top), int(left), int(down), int(across))
    return None if found == (0, 0, height, width) else found


def _no_aperture() -> ImageError:
    return ImageError(
        "UNREADABLE", "the clean aperture of the AVIF file is no part of its image in whole pixels"
    )
