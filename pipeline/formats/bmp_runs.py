"""Runs of pixels in BMP files of 4 and 8 bits (Microsoft, "Bitmap compression")."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ImageError

_LINE, _END, _MOVE = 0, 1, 2
_SEEN = b"\1" * 256


def unpacked_runs(data: bytes, height: int, width: int, bits: int) -> NDArray[np.uint8]:
    """HW indices, rows in the order of the file.

    ``ImageError``: ``TRUNCATED`` where no end is marked, ``UNREADABLE`` where pixels are left out or lie
    beyond the edges.
    """
    # Bytes and no arrays: a run can be one pixel long, and a hundred million of them are an image.
    out, known = bytearray(height * width), bytearray(height * width)
    row = column = at = 0
    while True:
        if at + 1 >= len(data):
            raise ImageError("TRUNCATED", "the BMP file ends early")
        count, value = data[at], data[at + 1]
        at += 2
        if count == 0 and value == _END:
            break
        if count == 0 and value == _LINE:
            row, column = row + 1, 0
        elif count == 0 and value == _MOVE:
            column, row, at = column + data[at], row + data[at + 1], at + 2
        else:
            run, at = (_repeated(count, value, bits), at) if count else _literal(data, at, value, bits)
            start, column = row * width + column, column + len(run)
            if row >= height or column > width:
                raise _beyond()
            out[start : start + len(run)], known[start : start + len(run)] = run, _SEEN[: len(run)]
        if row > height:
            raise _beyond()
    if 0 in known:
        raise ImageError("UNREADABLE", "the BMP file leaves pixels out")
    return np.frombuffer(out, np.uint8).reshape(height, width)


def _beyond() -> ImageError:
    return ImageError("UNREADABLE", "the BMP file has pixels beyond its edges")


def _repeated(count: int, value: int, bits: int) -> bytes:
    if bits == 8:
        return bytes((value,)) * count
    return (bytes((value >> 4, value & 15)) * (count // 2 + 1))[:count]


def _literal(data: bytes, at: int, count: int, bits: int) -> tuple[bytes, int]:
    """Pixels as they are, and the place after them, on an even byte."""
    length = count if bits == 8 else (count + 1) // 2
    stored = data[at : at + length]
    if len(stored) < length:
        raise ImageError("TRUNCATED", "the BMP file ends early")
    if bits == 4:
        stored = bytes(half for each in stored for half in (each >> 4, each & 15))
    return stored[:count], at + length + length % 2
