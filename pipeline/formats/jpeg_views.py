"""Several images in one JPEG file: whether they are more than helpers of the first (CIPA DC-007, 5.2.3)."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from pipeline.errors import ImageError
from pipeline.formats.exif import read_exif
from pipeline.formats.jpeg_segments import APP2, Segment

_PREFIX = b"MPF\0"
_ENTRIES = 0xB002
_ENTRY = struct.Struct("IIIHH")
_TYPE = 0xFFFFFF
_VIEWS = {0x020001: "a panorama", 0x020002: "a stereo pair", 0x020003: "views from several angles"}


def check_views(segments: Iterable[Segment]) -> None:
    """``ImageError("ANIMATED")`` where the first image of the file is one view among several.

    Others behind the first are previews, gain maps and depths: helpers of it.
    """
    for marker, payload in segments:
        is_index = marker == APP2 and payload.startswith(_PREFIX)
        if is_index and (kind := _kind_of_views(payload[len(_PREFIX) :])):
            raise ImageError(
                "ANIMATED", f"a JPEG file of several images ({kind}); split it into one file an image"
            )


def _kind_of_views(index: bytes) -> str:
    try:
        order, directory = read_exif(index)
    except (ValueError, EOFError):
        return ""
    value = next((tag.value for tag in directory.tags if tag.code == _ENTRIES), b"")
    numbers = struct.Struct(order + _ENTRY.format)
    whole = value[: len(value) // numbers.size * numbers.size]
    kinds = [each[0] & _TYPE for each in numbers.iter_unpack(whole)]
    return next((_VIEWS[kind] for kind in kinds if kind in _VIEWS), "") if len(kinds) > 1 else ""
