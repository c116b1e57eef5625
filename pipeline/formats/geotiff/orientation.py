"""TIFF's tag 274, which GDAL neither reads nor writes: it says how an image without a georeference is held.

GDAL is asked to write a tag of the same shape in its place, a ResolutionUnit, which is renamed afterwards;
that leaves the layout of a cloud-optimised file as it is.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from mmap import mmap

from pipeline.errors import ImageError
from pipeline.formats.exif import ORIENTATION, UPRIGHT
from pipeline.formats.geotiff.directory import BYTE_ORDERS
from pipeline.formats.geotiff.header import RasterHeader, Tags

_UNIT, _SHORT = 296, 3
_STAND_IN, _X, _Y = "TIFFTAG_RESOLUTIONUNIT", "TIFFTAG_XRESOLUTION", "TIFFTAG_YRESOLUTION"
_INCH, _CENTIMETRE = "2", "3"
_CENTIMETRES_AN_INCH = 2.54


def check_unit(header: RasterHeader) -> None:
    """``ImageError("UNENCODABLE")`` where the place of the tag is taken by something that it would change."""
    if header.orientation != UPRIGHT:
        _in_inches(header.tags.get("", {}))


def with_stand_in(header: RasterHeader) -> Mapping[str, Tags]:
    """The tags for GDAL to write, by domain."""
    if header.orientation == UPRIGHT:
        return header.tags
    return {**header.tags, "": {**_in_inches(header.tags.get("", {})), _STAND_IN: _INCH}}


def _in_inches(tags: Tags) -> Tags:
    """A resolution without its unit, which is taken for inches then; one of 1 by 1 without unit is none."""
    unit, resolution = tags.get(_STAND_IN, _INCH)[:1], {tags.get(_X, "1"), tags.get(_Y, "1")}
    others = {name: value for name, value in tags.items() if name not in (_STAND_IN, _X, _Y)}
    if unit == _INCH:
        return tags
    if unit == _CENTIMETRE:
        lengths = {name: float(tags[name]) for name in (_X, _Y) if name in tags}
        return others | {name: repr(value * _CENTIMETRES_AN_INCH) for name, value in lengths.items()}
    if resolution == {"1"}:
        return others
    raise ImageError(
        "UNENCODABLE", "an orientation beside a resolution without a unit; turn the source upright first"
    )


def renamed(data: bytes | mmap, orientation: int) -> tuple[int, bytes] | None:
    """Where the entries of the first directory get their right form, and that; as many bytes as are there."""
    if orientation == UPRIGHT:
        return None
    order = BYTE_ORDERS[data[:2]]
    is_big = data[2:4] in (b"\x2b\0", b"\0\x2b")
    counter, offset, size = ("Q", "Q", 20) if is_big else ("H", "I", 12)
    start = struct.unpack_from(f"{order}{offset}", data, 8 if is_big else 4)[0]
    count = struct.unpack_from(f"{order}{counter}", data, start)[0]
    first = start + struct.calcsize(f"{order}{counter}")
    entries = [data[at : at + size] for at in range(first, first + count * size, size)]
    by_code = {struct.unpack_from(f"{order}H", entry)[0]: entry for entry in entries}
    assert _UNIT in by_code, "GDAL was told to write it"
    del by_code[_UNIT]
    value = struct.pack(f"{order}H", orientation)
    by_code[ORIENTATION] = (struct.pack(f"{order}HH{offset}", ORIENTATION, _SHORT, 1) + value).ljust(
        size, b"\0"
    )
    return first, b"".join(entry for _, entry in sorted(by_code.items()))
