"""Image file directories, which EXIF and TIFF share (TIFF 6.0, section 2; EXIF 2.3, section 4.6).

A directory is read into tags with raw values and written again at another place in another file; that
is how EXIF moves between a TIFF, where offsets count from the file's start, and the other formats.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

ByteOrder = Literal["<", ">"]
"""Of ``struct``: Intel (II) or Motorola (MM)."""
ORIENTATION, UPRIGHT = 274, 1
EXIF_POINTER, GPS_POINTER, INTEROPERABILITY_POINTER = 0x8769, 0x8825, 0xA005
POINTERS = frozenset({EXIF_POINTER, GPS_POINTER, INTEROPERABILITY_POINTER})
_BYTES_OF_KIND = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_BYTE_ORDERS: dict[bytes, ByteOrder] = {b"II*\0": "<", b"MM\0*": ">"}
_LONG = 4
_DEEPEST = 3


class Tag(NamedTuple):
    """One tag with its raw value, in the byte order of its file."""

    code: int
    kind: int
    """TIFF field type: 1 BYTE, 2 ASCII, 3 SHORT, 4 LONG, 5 RATIONAL, 7 UNDEFINED ..."""
    number: int
    """How many values of that type."""
    value: bytes


@dataclass(frozen=True)
class Directory:
    """Tags in ascending order, and the directories that some of them point to."""

    tags: tuple[Tag, ...]
    children: tuple[tuple[int, Directory], ...] = ()
    """Pairs of the pointer's code and the directory."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not self.tags and not self.children


def is_storable(tag: Tag) -> bool:
    """Whether a classic directory can hold the tag: a known type, and as many bytes as it says."""
    return len(tag.value) == _BYTES_OF_KIND.get(tag.kind, -1) * tag.number


def read_exif(blob: bytes) -> tuple[ByteOrder, Directory]:
    """Byte order (``<`` or ``>``) and first directory of EXIF data.

    ``ValueError`` where they are broken, ``EOFError`` where they end early.
    """
    order = _BYTE_ORDERS.get(blob[:4])
    if order is None or len(blob) < 8:
        raise ValueError("EXIF data start with neither II*\\0 nor MM\\0*")
    return order, read_directory(blob, struct.unpack_from(f"{order}I", blob, 4)[0], order)


def read_directory(data: bytes, offset: int, order: ByteOrder, depth: int = 0) -> Directory:
    """The directory at ``offset`` and those below it; ``EOFError`` where one lies outside the data."""
    if depth > _DEEPEST:
        raise ValueError("the directories of the EXIF data point at each other")
    if offset + 2 > len(data):
        raise EOFError("a directory of the EXIF data lies outside them")
    count = struct.unpack_from(f"{order}H", data, offset)[0]
    tags: dict[int, Tag] = {}
    children: dict[int, Directory] = {}
    for position in range(offset + 2, offset + 2 + 12 * count, 12):
        tag = _read_tag(data, position, order)
        if tag.code in POINTERS:
            at = struct.unpack_from(f"{order}I", tag.value)[0] if len(tag.value) == 4 else len(data)
            children[tag.code] = read_directory(data, at, order, depth + 1)
        else:
            tags[tag.code] = tag
    return Directory(tuple(sorted(tags.values())), tuple(sorted(children.items())))


def _read_tag(data: bytes, position: int, order: ByteOrder) -> Tag:
    if position + 12 > len(data):
        raise EOFError("the EXIF data end inside a directory")
    code, kind, number = struct.unpack_from(f"{order}HHI", data, position)
    size = _BYTES_OF_KIND.get(kind, 0) * number
    start = position + 8 if size <= 4 else struct.unpack_from(f"{order}I", data, position + 8)[0]
    if size == 0:
        raise ValueError(f"EXIF tag {code} has no value or one of the unknown type {kind}")
    if start + size > len(data):
        raise EOFError("a value of the EXIF data lies outside them")
    return Tag(code, kind, number, data[start : start + size])


def write_directory(directory: Directory, order: ByteOrder, base: int) -> bytes:
    """The directory as it stands at the even position ``base`` of a file: table, values, children."""
    assert base % 2 == 0
    fields = 2 + 12 * (len(directory.tags) + len(directory.children)) + 4
    entries: list[tuple[int, bytes]] = []
    behind = b""
    for code, kind, number, value in directory.tags:
        entry = struct.pack(f"{order}HHI", code, kind, number)
        if len(value) <= 4:
            entries.append((code, entry + value.ljust(4, b"\0")))
        else:
            entries.append((code, entry + struct.pack(f"{order}I", base + fields + len(behind))))
            behind += value + b"\0" * (len(value) % 2)
    for code, child in directory.children:
        at = base + fields + len(behind)
        entries.append((code, struct.pack(f"{order}HHII", code, _LONG, 1, at)))
        behind += write_directory(child, order, at)
    table = b"".join(entry for _, entry in sorted(entries))
    return struct.pack(f"{order}H", len(entries)) + table + b"\0" * 4 + behind


def write_exif(directory: Directory, order: ByteOrder) -> bytes:
    """EXIF data that hold the directory."""
    signature = {written: read for read, written in _BYTE_ORDERS.items()}[order]
    return signature + struct.pack(f"{order}I", 8) + write_directory(directory, order, 8)


def with_codes(tags: Iterable[Tag], codes: frozenset[int]) -> tuple[Tag, ...]:
    """The storable tags of these codes, in ascending order."""
    return tuple(sorted(tag for tag in tags if tag.code in codes and is_storable(tag)))


def orientation_said(blob: bytes) -> int | None:
    """1 to 8, as TIFF and EXIF count them; ``None`` where none is said or the data are broken."""
    try:
        order, directory = read_exif(blob)
    except (ValueError, EOFError):
        return None
    found = [tag for tag in directory.tags if (tag.code, tag.kind, tag.number) == (ORIENTATION, 3, 1)]
    value = struct.unpack(f"{order}H", found[0].value)[0] if found else 0
    return value if 1 <= value <= 8 else None


def orientation_of(blob: bytes) -> int:
    """The same; 1, upright, where none is said."""
    return orientation_said(blob) or UPRIGHT
