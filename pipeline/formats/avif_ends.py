"""Whether the images of an AVIF file were written to their end: to the decoder, any bytes are codes.

An encoder of AV1 writes no more bits than tell its image from others, then a one, then zeros to the end of
the byte (AV1 Bitstream & Decoding Process Specification, section 8.2.4). Other bytes in the place of the end
are seen where the image is full before they end. Where it is not, the decoder draws the rest from nothing,
and does not say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ImageError
from pipeline.formats.avif_items import CodedImage, images

_ONES = b"\xff" * 8
_NEEDLESS = 16
"""Bytes at the end that an image may do without: the last codes may be of pixels cut off, or clipped."""
_FILLINGS = (b"\xff" * _NEEDLESS, bytes(range(7, 250, 9)))
_LARGEST_NUMBER = 8
_FRAME, _TILES = 6, 4
"""Types of OBU that hold the codes of pixels (section 6.2.2)."""

Decode = Callable[[bytes], NDArray[np.generic]]


def check_written(data: bytes) -> None:
    """``ImageError("TRUNCATED")`` where the last bytes of an image are none of an encoder's."""
    for image in images(data):
        if image.end > len(data):
            raise ImageError("TRUNCATED", "an image of the AVIF file ends after the file does")
        coded = data[image.start : image.end]
        if coded and (coded[-1] == 0 or coded.endswith(_ONES)):
            raise _not_written()


def check_needed(data: bytes, samples_HWC: NDArray[np.generic], decode: Decode) -> None:
    """``ImageError("TRUNCATED")`` where the image that ends last in the file does not need its last bytes.

    ``samples_HWC``: what ``decode`` makes of the file.
    """
    last = max(images(data), key=lambda image: image.end, default=None)
    if last is None or not last.can_move or last.end - last.start < 2 * _NEEDLESS:
        return
    for filling in _FILLINGS:
        other = _with_end(data, last, filling)
        if other is None or not _is_same(other, samples_HWC, decode):
            return
    raise _not_written()


def _not_written() -> ImageError:
    return ImageError("TRUNCATED", "the pixel data of the AVIF file were not written to their end")


def _is_same(data: bytes, samples_HWC: NDArray[np.generic], decode: Decode) -> bool:
    try:
        return np.array_equal(decode(data), samples_HWC)
    except Exception:  # the decoder notices that it is another one
        return False


def _with_end(data: bytes, image: CodedImage, filling: bytes) -> bytes | None:
    """The file with other bytes in the place of the last ones; ``None`` where they are no codes of pixels."""
    coded = data[image.start : image.end]
    units = list(_units(coded))
    if not units or units[-1][0] not in (_FRAME, _TILES):
        return None
    _, at, first = units[-1]
    if len(coded) - first < 2 * _NEEDLESS:
        return None
    head = bytes((coded[at] | 2,)) + coded[at + 1 : at + 1 + (coded[at] >> 2 & 1)]
    payload = coded[first:-_NEEDLESS] + filling
    return image.moved(data, coded[:at] + head + _number(len(payload)) + payload)


def _units(coded: bytes) -> Iterator[tuple[int, int, int]]:
    """Type, place and place of the payload of each OBU (section 5.3)."""
    at = 0
    while at < len(coded):
        header = coded[at]
        first, size = at + 1 + (header >> 2 & 1), len(coded)
        if header & 2:
            size, first = _read_number(coded, first)
        yield header >> 3 & 15, at, first
        at = first + size


def _read_number(data: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte (section 4.10.5), and where it ends."""
    value = 0
    for index, byte in enumerate(data[at : at + _LARGEST_NUMBER]):
        value |= (byte & 127) << 7 * index
        if byte < 128:
            return value, at + index + 1
    return len(data), len(data)


def _number(value: int) -> bytes:
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    return bytes((*written, value))
