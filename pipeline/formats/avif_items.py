"""Where the coded images of an AVIF file stand (ISO/IEC 14496-12, sections 8.11.3 and 8.11.6)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pipeline.formats.avif_boxes import boxes

_CODED = b"av01"
_FULL = 4
"""Bytes of version and flags in front of the contents of some boxes."""


class CodedImage(NamedTuple):
    """Where the last bytes of an image stand: those of its last part, where it has several."""

    start: int
    end: int
    field: int
    """Where the file says so: an offset behind ``base``, then a length."""
    base: int
    offset_bytes: int
    length_bytes: int
    can_move: bool
    """Whether it is one part, whose place and length the file says in fields of their own."""

    def moved(self, data: bytes, coded: bytes) -> bytes:
        """The file with other bytes for this image, at its end."""
        assert self.can_move
        at = len(data) + 8 - self.base
        field = at.to_bytes(self.offset_bytes, "big") + len(coded).to_bytes(self.length_bytes, "big")
        behind = (len(coded) + 8).to_bytes(4, "big") + b"free" + coded
        return data[: self.field] + field + data[self.field + len(field) :] + behind


def images(data: bytes) -> Iterator[CodedImage]:
    """Each of a file: picture, opacity, gain map, or the tiles of a grid."""
    inside = {kind: (first, last) for kind, first, last in _metadata(data)}
    if not {b"iinf", b"iloc"} <= inside.keys():
        return
    coded = set(_coded_items(data, *inside[b"iinf"]))
    at_data = inside.get(b"idat", (0, 0))[0]
    for item, is_inside, found in _last_extents(data, inside[b"iloc"][0]):
        if item in coded:
            start = found.start + (at_data if is_inside else 0)
            size = found.end - found.start
            yield found._replace(start=start, end=start + size if size else len(data))


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
        self._data, self.at = data, at

    def next(self, width: int) -> int:
        self.at += width
        return int.from_bytes(self._data[self.at - width : self.at], "big")


def _last_extents(data: bytes, at: int) -> Iterator[tuple[int, bool, CodedImage]]:
    """Of each item: its number, whether it stands in ``idat``, and its last part."""
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
        base, start, size, field = fields.next(base_bytes), 0, 0, 0
        parts = fields.next(2)
        for _ in range(parts):
            fields.next(index_bytes if version >= 1 else 0)
            field = fields.at
            start, size = fields.next(offset_bytes), fields.next(length_bytes)
        can_move = parts == 1 and not is_inside and min(offset_bytes, length_bytes) >= 4
        place = base + start, base + start + size
        yield item, is_inside, CodedImage(*place, field, base, offset_bytes, length_bytes, can_move)
