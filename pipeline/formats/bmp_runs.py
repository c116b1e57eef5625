"""Runs of pixels in BMP files of 4 and 8 bits (Microsoft, "Bitmap compression")."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ImageError

_LINE, _END, _MOVE = 0, 1, 2


def unpacked_runs(data: bytes, height: int, width: int, bits: int) -> NDArray[np.uint8]:
    """HW indices, rows in the order of the file.

    ``ImageError``: ``TRUNCATED`` where no end is marked, ``UNREADABLE`` where pixels are left out or lie
    beyond the edges.
    """
    out = np.zeros((height, width), np.uint8)
    known = np.zeros((height, width), bool)
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
            if row >= height or column + len(run) > width:
                raise ImageError("UNREADABLE", "the BMP file has pixels beyond its edges")
            out[row, column : column + len(run)], known[row, column : column + len(run)] = run, True
            column += len(run)
    if not known.all():
        raise ImageError("UNREADABLE", "the BMP file leaves pixels out")
    return out


def _repeated(count: int, value: int, bits: int) -> NDArray[np.uint8]:
    pair = (value, value) if bits == 8 else (value >> 4, value & 15)
    return np.resize(np.array(pair, np.uint8), count)


def _literal(data: bytes, at: int, count: int, bits: int) -> tuple[NDArray[np.uint8], int]:
    """Pixels as they are, and the place after them, on an even byte."""
    length = count if bits == 8 else (count + 1) // 2
    stored = np.frombuffer(data, np.uint8, length, at)
    if bits == 4:
        stored = np.stack([stored >> 4, stored & 15], axis=1).ravel()
    return stored[:count], at + length + length % 2
