"""What metadata still show of the pixels that a file had before: previews go, sizes are set.

A file browser would show the source's preview for the restored image, and what was filled in or made worse on
purpose is still seen in it. EXIF data are changed in their places, for makers' notes count bytes from their
beginning: what is taken out leaves zeros. Exif 2.3, sections 4.5 and 4.6.3; Photoshop File Formats
Specification, image resources.
"""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from typing import Any

from pipeline.formats.base import EXIF, XMP
from pipeline.formats.exif import EXIF_POINTER, Tag, read_directory, read_exif
from pipeline.imaging.image import Image

_WIDTHS, _HEIGHTS = (256, 0xA002), (257, 0xA003)
_OFFSETS, _LENGTHS = (0x0201, 273), (0x0202, 279)
"""Of the preview, one JPEG or strips, and how many bytes it has."""
_RESOURCES = 34377
_RESOURCES_PREFIX = b"Photoshop 3.0\0"
_PREVIEWS = (1033, 1036)
_APP13 = 0xED
_IN_XMP = re.compile(rb"<(xmp|xap):Thumbnails\b.*?</\1:Thumbnails\s*>", re.DOTALL)
_WHOLE = {3: "H", 4: "I"}


def of_new_pixels(image: Image) -> Image:
    """The image, its EXIF, XMP and Photoshop resources without previews, sizes those that its pixels have."""
    entries: dict[str, Any] = dict(image.metadata.entries)
    size = image.size[:2]
    if EXIF in entries:
        entries[EXIF] = exif_of_size(entries[EXIF], size)
    if XMP in entries:
        entries[XMP] = _without_thumbnails(entries[XMP])
    if "png_chunks" in entries:
        entries["png_chunks"] = tuple(_chunk(kind, data, size) for kind, data in entries["png_chunks"])
    if "jpeg_segments" in entries:
        entries["jpeg_segments"] = tuple(_segment(*each) for each in entries["jpeg_segments"])
    return replace(image, metadata=replace(image.metadata, entries=entries))


def exif_of_size(blob: bytes, size: tuple[int, int]) -> bytes:
    """EXIF data of as many bytes, of an image of this height and width; as they are where they are broken."""
    try:
        order, directory = read_exif(blob)
        changed = bytearray(blob)
        first = struct.unpack_from(f"{order}I", blob, 4)[0]
        _set_sizes(changed, order, first, size)
        for position, code in _entries(blob, order, first):
            if code == EXIF_POINTER:
                _set_sizes(changed, order, struct.unpack_from(f"{order}I", blob, position + 8)[0], size)
        _blank_preview(changed, order, first)
        for tag in directory.tags:
            if tag.code == _RESOURCES:
                _replace(changed, tag, without_preview_resource(tag.value))
    except (ValueError, EOFError, struct.error):
        return blob
    return bytes(changed)


def without_preview_resource(data: bytes) -> bytes:
    """Photoshop's image resources without their preview; as they are where they are broken."""
    kept, at = b"", 0
    while data[at : at + 4] == b"8BIM":
        if at + 8 > len(data):
            return data
        number = int.from_bytes(data[at + 4 : at + 6], "big")
        start = at + 6 + (data[at + 6] + 2) // 2 * 2
        end = start + 4 + int.from_bytes(data[start : start + 4], "big")
        if end > len(data):
            return data
        end += end % 2 if end < len(data) else 0
        kept += b"" if number in _PREVIEWS else data[at:end]
        at = end
    return kept + data[at:]


def _entries(blob: bytes | bytearray, order: str, first: int) -> list[tuple[int, int]]:
    """Where each entry of a directory is, and its tag."""
    count = struct.unpack_from(f"{order}H", blob, first)[0]
    places = range(first + 2, first + 2 + 12 * count, 12)
    return [(place, struct.unpack_from(f"{order}H", blob, place)[0]) for place in places]


def _set_sizes(changed: bytearray, order: str, first: int, size: tuple[int, int]) -> None:
    for place, tag in _entries(changed, order, first):
        kind, number = struct.unpack_from(f"{order}HI", changed, place + 2)
        for codes, side in ((_HEIGHTS, size[0]), (_WIDTHS, size[1])):
            if tag in codes and kind in _WHOLE and number == 1 and (kind == 4 or side < 1 << 16):
                struct.pack_into(f"{order}{_WHOLE[kind]}", changed, place + 8, side)


def _blank_preview(changed: bytearray, order: str, first: int) -> None:
    """The directory behind the first one is the preview's: nothing leads there any more."""
    entries = _entries(changed, order, first)
    pointer = first + 2 + 12 * len(entries)
    at = struct.unpack_from(f"{order}I", changed, pointer)[0]
    if not at:
        return
    tags = {tag.code: tag for tag in read_directory(bytes(changed), at, order).tags}  # type: ignore[arg-type]
    struct.pack_into(f"{order}I", changed, pointer, 0)
    for offset, length in zip(_OFFSETS, _LENGTHS, strict=True):
        if offset in tags and length in tags:
            for start, count in zip(
                _numbers(tags[offset], order), _numbers(tags[length], order), strict=False
            ):
                stop = min(start + count, len(changed))
                changed[start:stop] = bytes(max(stop - start, 0))


def _numbers(tag: Tag, order: str) -> tuple[int, ...]:
    return struct.unpack(f"{order}{tag.number}{_WHOLE[tag.kind]}", tag.value) if tag.kind in _WHOLE else ()


def _replace(changed: bytearray, tag: Tag, value: bytes) -> None:
    at = changed.find(tag.value)
    changed[at : at + len(tag.value)] = value.ljust(len(tag.value), b"\0")


def _without_thumbnails(packet: bytes) -> bytes:
    return _IN_XMP.sub(b"", packet)


def _chunk(kind: bytes, data: bytes, size: tuple[int, int]) -> tuple[bytes, bytes]:
    if kind == b"eXIf":
        return kind, exif_of_size(data, size)
    return kind, _without_thumbnails(data) if kind == b"iTXt" else data


def _segment(marker: int, payload: bytes) -> tuple[int, bytes]:
    if marker != _APP13 or not payload.startswith(_RESOURCES_PREFIX):
        return marker, payload
    resources = without_preview_resource(payload[len(_RESOURCES_PREFIX) :])
    return marker, _RESOURCES_PREFIX + resources
