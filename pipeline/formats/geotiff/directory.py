"""The first directory of a TIFF or BigTIFF file, read without a library: enough to know a raster by.

TIFF 6.0, section 2; BigTIFF as in libtiff; GeoTIFF 1.1 (OGC 19-008), sections 7.1 and 7.2.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

WIDTH, HEIGHT, BITS, PHOTOMETRIC, SAMPLES, PLANES = 256, 257, 258, 262, 277, 284
COMPRESSION, SAMPLE_FORMAT, TILE_WIDTH, TILE_HEIGHT, ROWS_PER_STRIP = 259, 339, 322, 323, 278
STRIP_OFFSETS, STRIP_BYTES, TILE_OFFSETS, TILE_BYTES = 273, 279, 324, 325
PIXEL_SCALE, TIE_POINTS, TRANSFORMATION, GEO_KEYS, GEO_DOUBLES = 33550, 33922, 34264, 34735, 34736
GDAL_METADATA, GDAL_NODATA, RATIONAL_COEFFICIENTS = 42112, 42113, 50844
JPEG_TABLES, EXTRA_SAMPLES = 347, 338
GEOGRAPHIC = frozenset(
    {PIXEL_SCALE, TIE_POINTS, TRANSFORMATION, GEO_KEYS, GDAL_METADATA, GDAL_NODATA, RATIONAL_COEFFICIENTS}
)
_DESCRIPTIONS = {
    269: "DOCUMENTNAME",
    270: "IMAGEDESCRIPTION",
    305: "SOFTWARE",
    306: "DATETIME",
    315: "ARTIST",
    316: "HOSTCOMPUTER",
    33432: "COPYRIGHT",
}
_MODEL_TYPE, _COORDINATE_EPOCH = 1024, 5120
SIGNED, FLOAT = 2, 3
BYTE_ORDERS = {b"II": "<", b"MM": ">"}
"""The first two bytes of a TIFF file -> ``struct``'s sign for the order that they stand for."""
_MOST_TAGS, _MOST_PAGES = 4096, 64
_LAYOUT_NOTES = b"GDAL_STRUCTURAL_METADATA_SIZE="
_SIZES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
_INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}


class Bytes(Protocol):
    """``bytes``, or whatever reads those that it is asked for."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def __getitem__(self, at: slice, /) -> bytes:
        """Some of them, fewer where the slice leaves the file."""
        ...


@dataclass(frozen=True)
class Directory:
    """Tags by code, their values still bytes."""

    order: str
    """``<`` or ``>``, as ``struct`` has it."""
    tags: Mapping[int, tuple[int, int, bytes]]
    """Code -> type, count and value; a value that lies behind the file's end is left out."""

    is_cloud_optimised: bool = False
    """Whether GDAL's notes on the layout stand before it, as in every COG."""

    def integers(self, code: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """The value of a tag of whole numbers, or the default where it is missing or of another type."""
        kind, count, value = self.tags.get(code, (0, 0, b""))
        if kind not in _INTEGERS or not count:
            return default
        return struct.unpack(f"{self.order}{count}{_INTEGERS[kind]}", value)

    def doubles(self, code: int) -> tuple[float, ...]:
        """The value of a tag of doubles; empty where it is missing or of another type."""
        kind, count, value = self.tags.get(code, (0, 0, b""))
        return struct.unpack(f"{self.order}{count}d", value) if kind == 12 else ()

    def text(self, code: int) -> str | None:
        """The value of a text tag up to its first zero byte; ``None`` where it is missing or empty."""
        kind, _, value = self.tags.get(code, (0, 0, b""))
        return value.split(b"\0")[0].decode("latin-1").strip() or None if kind == 2 else None

    def descriptions(self) -> dict[str, str]:
        """The text tags that describe, under GDAL's names; Latin-1 where they are not UTF-8."""
        found = {}
        for code, name in _DESCRIPTIONS.items():
            value = self.tags.get(code, (0, 0, b""))[2].split(b"\0")[0]
            if value:
                found[f"TIFFTAG_{name}"] = _decoded(value)
        return found

    @property
    def is_raster(self) -> bool:
        """Whether it has a georeference, GDAL's tags or layout, or signed or floating-point samples."""
        has_sign = any(kind in (SIGNED, FLOAT) for kind in self.integers(SAMPLE_FORMAT))
        return has_sign or self.is_cloud_optimised or not GEOGRAPHIC.isdisjoint(self.tags)

    @property
    def has_transform(self) -> bool:
        """Whether pixels are placed by an affine transform."""
        return TRANSFORMATION in self.tags or (PIXEL_SCALE in self.tags and TIE_POINTS in self.tags)

    @property
    def names_coordinate_system(self) -> bool:
        """Whether the GeoKeys say that coordinates are projected, geographic or geocentric."""
        return self._geo_key(_MODEL_TYPE) in ((0, 1), (0, 2), (0, 3))

    @property
    def coordinate_epoch(self) -> float | None:
        """Decimal year of the coordinates in a dynamic reference frame."""
        location, index = self._geo_key(_COORDINATE_EPOCH)
        doubles = self.doubles(GEO_DOUBLES)
        return doubles[index] if location == GEO_DOUBLES and index < len(doubles) else None

    def _geo_key(self, key: int) -> tuple[int, int]:
        """Where the key's value lies, and there at which index; for location 0 the value itself."""
        keys = self.integers(GEO_KEYS)
        for at in range(4, len(keys) - 3, 4):
            if keys[at] == key:
                return keys[at + 1], keys[at + 3]
        return -1, 0


def _decoded(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def read_directory(data: Bytes) -> Directory | None:
    """The directory; ``None`` for what is no TIFF, or a TIFF without a readable one."""
    return next(directories(data), None)


def directories(data: Bytes) -> Iterator[Directory | None]:
    """That of every page in order, as far as they can be read; none for what is no TIFF."""
    order = BYTE_ORDERS.get(data[:2])
    if order is None:
        return
    try:
        version = _unpacked(f"{order}H", data, 2)[0]
        is_big = version == 43 and _unpacked(f"{order}HH", data, 4) == (8, 0)
        if version != 42 and not is_big:
            return
        counter, offset = ("Q", "Q") if is_big else ("H", "I")
        at = _unpacked(f"{order}{offset}", data, 8 if is_big else 4)[0]
        for _ in range(_MOST_PAGES):
            yield _directory(data, order, at, counter, offset)
            count = _unpacked(f"{order}{counter}", data, at)[0]
            size = struct.calcsize(f"{order}HH{offset}{offset}")
            at = _unpacked(f"{order}{offset}", data, at + struct.calcsize(counter) + count * size)[0]
            if not at:
                return
    except (struct.error, OverflowError):
        return


def _unpacked(layout: str, data: Bytes, at: int) -> tuple[Any, ...]:
    return struct.unpack(layout, data[at : at + struct.calcsize(layout)])


def _directory(data: Bytes, order: str, at: int, counter: str, offset: str) -> Directory | None:
    count = _unpacked(f"{order}{counter}", data, at)[0]
    if count > _MOST_TAGS:
        return None
    entry = struct.Struct(f"{order}HH{offset}")
    inline = struct.calcsize(f"{order}{offset}")
    first = at + struct.calcsize(f"{order}{counter}")
    tags = {}
    for start in range(first, first + count * (entry.size + inline), entry.size + inline):
        code, kind, values = entry.unpack(data[start : start + entry.size])
        size = _SIZES.get(kind, 1) * values
        place = start + entry.size
        if size > inline:
            place = _unpacked(f"{order}{offset}", data, place)[0]
        if place + size <= len(data):
            tags[code] = (kind, values, data[place : place + size])
    return Directory(order, tags, _LAYOUT_NOTES in data[8:64])
