"""The container of JPEG 2000: boxes, and what they say of colours (ITU-T T.800, annex I)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from pipeline.errors import ImageError
from pipeline.formats.geotiff.directory import Bytes

_CODESTREAM = b"\xff\x4f\xff\x51"
_LONG, _TO_THE_END = 1, 0
_NUMBERED, _PROFILES = 1, (2, 3)
"""How a colour is said: METH of a colr box."""
_PLAIN = frozenset({0, 15, 16, 17, 20, 21})
"""EnumCS of colours that the samples are as they stand: black and white, sRGB, grey, e-sRGB, ROMM-RGB."""
_YCC = 18
_SPACES = frozenset({b"GRAY", b"RGB "})
"""Data colour spaces of profiles for such samples (ICC.1, 7.2.6)."""
_STEPS = 40 + 2
"""Where the codestream says depth and steps of each component, three bytes each (T.800, table A.9)."""


def boxes(data: Bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, first and last position of the contents; ``ImageError("TRUNCATED")`` for one beyond ``end``."""
    while start + 8 <= end:
        beginning = data[start : start + 16]
        size, kind, head = int.from_bytes(beginning[:4], "big"), beginning[4:8], 8
        if size == _LONG:
            size, head = int.from_bytes(beginning[8:16], "big"), 16
        last = end if size == _TO_THE_END else start + size
        if size not in (_LONG, _TO_THE_END) and (size < head or last > end):
            raise ImageError("TRUNCATED", "the JPEG 2000 file ends inside a box")
        yield kind, start + head, last
        start = max(last, start + head)


def codestreams(data: bytes) -> Iterator[bytes]:
    """Those of a file, bare or in boxes; ``ImageError("TRUNCATED")`` where the file ends inside a box."""
    yield from (data[first:last] for first, last in places_of_codestreams(data))


def places_of_codestreams(data: Bytes) -> Iterator[tuple[int, int]]:
    """First and last position of each; raises as ``codestreams``."""
    if data[:4] == _CODESTREAM:
        yield 0, len(data)
        return
    yield from ((first, last) for kind, first, last in boxes(data, 0, len(data)) if kind == b"jp2c")


def profile_of(data: Bytes) -> bytes | None:
    """The ICC profile that says what colours the samples of a file are; ``None`` without one.

    GDAL hands over neither profiles nor the samples of other colours as what they are: such a file is
    ``ImageError("UNSUPPORTED_COLOUR")``, and one of several images ``ANIMATED``.
    """
    if data[:4] == _CODESTREAM:
        return None
    found = list(boxes(data, 0, len(data)))
    images = [first for kind, first, _ in found if kind == b"jp2c"]
    if len(images) > 1:
        raise ImageError("ANIMATED", "a JPEG 2000 file of several images; split it into one file an image")
    for kind, first, last in found:
        if kind != b"jp2h":
            continue
        for inner, start, end in boxes(data, first, last):
            if inner == b"colr":  # the first counts: readers of JP2 ignore others (T.800, I.5.3.3)
                return _colour(data[start:end], data[images[0] : images[0] + _STEPS + 9] if images else b"")
    return None


def _colour(told: bytes, codestream: bytes) -> bytes | None:
    if told[:1] and told[0] in _PROFILES:
        if told[3 + 16 : 3 + 20] not in _SPACES:
            raise _other_colours("by its profile, which is none of grey or RGB")
        return told[3:]
    if told[:1] and told[0] == _NUMBERED and len(told) >= 7:
        number = struct.unpack_from(">I", told, 3)[0]
        # GDAL turns YCC into RGB where its colours are of half the resolution, and nowhere else.
        is_turned = number == _YCC and codestream[_STEPS + 3 + 1 : _STEPS + 3 + 3] == b"\2\2"
        if number not in _PLAIN and not is_turned:
            raise _other_colours(f"(EnumCS {number})")
    return None


def _other_colours(words: str) -> ImageError:
    return ImageError(
        "UNSUPPORTED_COLOUR",
        f"a JPEG 2000 file of colours that are neither grey nor RGB {words}; convert it to RGB",
    )
