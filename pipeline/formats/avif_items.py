"""Where the coded images of an AVIF file stand (ISO/IEC 14496-12, sections 8.11.3 and 8.11.6)."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.formats.avif_boxes import boxes

_CODED = b"av01"
_FULL = 4
"""Bytes of version and flags in front of the contents of some boxes."""


def images(data: bytes) -> Iterator[tuple[int, int]]:
    """First and last position of the last bytes of each: picture, opacity, gain map, or the tiles of a grid.

    An image that has several parts ends with the last of them.
    """
    inside = {kind: (first, last) for kind, first, last in _metadata(data)}
    if not {b"iinf", b"iloc"} <= inside.keys():
        return
    coded = set(_coded_items(data, *inside[b"iinf"]))
    at_data = inside.get(b"idat", (0, 0))[0]
    for item, is_inside, start, size in _last_extents(data, inside[b"iloc"][0]):
        if item in coded:
            start += at_data if is_inside else 0
            yield start, start + size if size else len(data)


def _metadata(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    for kind, first, last in boxes(data, 0, len(data)):
        if kind == b"meta":
            yield from boxes(data, first + _FULL, last)


def _coded_items(data: bytes, first: int, last: int) -> Iterator[int]:
    count_bytes = 2 if data[first] == 0 else 4
    for kind, at, _ in boxes(data, first + _FULL + count_bytes, last):
        id_bytes = 2 if data[at] < 3 else 4
        after = at + _FULL + id_bytes + 2
        if kind == b"infe" and data[at] >= 2 and data[after : after + 4] == _CODED:
            yield int.from_bytes(data[at + _FULL : at + _FULL + id_bytes], "big")


class _Fields:
    """Integers of given widths, one behind the other."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at

    def next(self, width: int) -> int:
        self._at += width
        return int.from_bytes(self._data[self._at - width : self._at], "big")


def _last_extents(data: bytes, at: int) -> Iterator[tuple[int, bool, int, int]]:
    """Of each item: its number, whether it stands in ``idat``, where its last part begins, and its length."""
    fields = _Fields(data, at)
    version = fields.next(1)
    fields.next(3)
    widths = fields.next(2)
    offset_bytes, length_bytes, base_bytes, index_bytes = (widths >> shift & 15 for shift in (12, 8, 4, 0))
    id_bytes = 4 if version >= 2 else 2
    for _ in range(fields.next(id_bytes)):
        item = fields.next(id_bytes)
        is_inside = version >= 1 and fields.next(2) & 15 == 1
        fields.next(2)
        base, start, size = fields.next(base_bytes), 0, 0
        for _ in range(fields.next(2)):
            fields.next(index_bytes if version >= 1 else 0)
            start, size = fields.next(offset_bytes), fields.next(length_bytes)
        yield item, is_inside, base + start, size
