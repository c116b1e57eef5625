"""The container of JPEG: marker segments (ITU-T T.81, annex B; JFIF 1.02; EXIF 2.3, section 4.7)."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from typing import NamedTuple

from pipeline.errors import ImageError

APP0, APP1, APP2, APP13, COMMENT = 0xE0, 0xE1, 0xE2, 0xED, 0xFE
START_OF_SCAN, END_OF_IMAGE, RESTART_INTERVAL = 0xDA, 0xD9, 0xDD
EXIF_PREFIX = b"Exif\0\0"
XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"
EXTENDED_XMP_PREFIX = b"http://ns.adobe.com/xmp/extension/\0"
ICC_PREFIX = b"ICC_PROFILE\0"
JFIF_PREFIX = b"JFIF\0"
LARGEST_PAYLOAD = 65533
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_MOST_SCANS = 100
"""libjpeg and its descendants write about ten; thousands are an attack on the decoder's time."""


class Segment(NamedTuple):
    """One marker segment: the marker's second byte, and the payload without its length."""

    marker: int
    payload: bytes

    def to_bytes(self) -> bytes:
        """Marker, length, payload."""
        assert len(self.payload) <= LARGEST_PAYLOAD
        return struct.pack(">BBH", 0xFF, self.marker, len(self.payload) + 2) + self.payload


def read_segments(data: bytes) -> tuple[list[Segment], int]:
    """All segments of the first image in the file, and where its end marker starts.

    Between scans the next marker is searched, so the entropy-coded data are stepped over. Raises
    ``ImageError("TRUNCATED")`` where the file ends before its end marker, and ``UNREADABLE`` for JPEG-LS.
    """
    segments: list[Segment] = []
    position, has_restarts = 2, False
    while found := _MARKER.search(data, position):
        marker, start = data[found.start() + 1], found.end()
        if has_restarts and segments[-1].marker == START_OF_SCAN:
            _check_restarts(data, position, found.start())
        if marker == END_OF_IMAGE:
            return segments, found.start()
        length = int.from_bytes(data[start : start + 2], "big")
        if length < 2:
            raise ImageError("UNREADABLE", "the JPEG file is corrupt: a segment of no length")
        segments.append(Segment(marker, data[start + 2 : start + length]))
        if _is_jpeg_ls(segments[-1]):
            raise ImageError("UNREADABLE", "a JPEG-LS image; convert it to PNG or TIFF")
        has_restarts = has_restarts or marker == RESTART_INTERVAL
        position = start + length
    raise ImageError("TRUNCATED", "the JPEG file ends before its end marker")


class _PartMissingError(ImageError):
    """Of a scan."""


def _check_restarts(data: bytes, start: int, end: int) -> None:
    """``ImageError("UNREADABLE")`` where a part of a scan is gone: its markers count from 0 to 7 and anew.

    libjpeg warns, and makes grey of that part, or of all behind it.
    """
    for number, found in enumerate(_RESTART.finditer(data, start, end)):
        if found[0][1] & 7 != number & 7:
            raise _PartMissingError(
                "UNREADABLE", "a part of the JPEG file between two restart markers is missing; fetch it again"
            )


def _is_jpeg_ls(segment: Segment) -> bool:
    """Whether it is of another standard, whose files begin alike: its frame (ITU-T T.87) or SPIFF says so."""
    marker, payload = segment
    return marker == 0xF7 or (marker == 0xE8 and payload[:6] == b"SPIFF\0" and payload[20:21] == b"\x06")


def restarts_are_whole(data: bytes) -> bool:
    """Whether no part between the restart markers of a stream is missing, as far as their numbers show it."""
    try:
        read_segments(data)
    except _PartMissingError:
        return False
    except ImageError:  # its decoder says more
        return True
    return True


def frame_header(segments: Iterable[Segment]) -> tuple[int, int, int, int]:
    """Precision in bits, height, width and number of components, from the first frame header."""
    scans = 0
    header: tuple[int, int, int, int] | None = None
    for marker, payload in segments:
        scans += marker == START_OF_SCAN
        if header is None and _is_frame(marker):
            header = struct.unpack_from(">BHHB", payload)
    if header is None or not 1 <= scans <= _MOST_SCANS:
        raise ImageError("UNREADABLE", "the JPEG file has no frame, no scan or far too many scans")
    return header


def is_progressive(segments: Iterable[Segment]) -> bool:
    """Whether the first frame comes in scans that refine it (T.81, table B.1)."""
    return _frame(segments) in (0xC2, 0xC6, 0xCA, 0xCE)


def is_arithmetic(segments: Iterable[Segment]) -> bool:
    """Whether the first frame is coded arithmetically and not by Huffman codes."""
    return _frame(segments) > 0xC8


def _frame(segments: Iterable[Segment]) -> int:
    """The marker of the first frame header; 0 where there is none."""
    return next((each.marker for each in segments if _is_frame(each.marker)), 0)


def _is_frame(marker: int) -> bool:
    return 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)


def icc_profile(segments: Iterable[Segment]) -> bytes | None:
    """The profile, put together from its numbered pieces; None where one is missing."""
    skip = len(ICC_PREFIX)
    pieces = [s.payload[skip:] for s in segments if s.marker == APP2 and s.payload.startswith(ICC_PREFIX)]
    if not pieces or any(len(piece) < 2 for piece in pieces):
        return None
    numbered = {piece[0]: piece[2:] for piece in pieces}
    complete = sorted(numbered) == list(range(1, pieces[0][1] + 1))
    return b"".join(numbered[number] for number in sorted(numbered)) if complete else None


def icc_segments(profile: bytes) -> list[Segment]:
    """The profile in numbered pieces; none where it needs more than the 255 that can be numbered."""
    room = LARGEST_PAYLOAD - len(ICC_PREFIX) - 2
    pieces = [profile[start : start + room] for start in range(0, len(profile), room)]
    if len(pieces) > 255:
        return []
    return [Segment(APP2, ICC_PREFIX + bytes((i, len(pieces))) + piece) for i, piece in enumerate(pieces, 1)]
