"""ICC profiles of matrix and curve (ICC.1:2022, version 4.4): for colours that a file names in other ways."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_D50 = np.array((0.9642, 1.0, 0.8249))
_BRADFORD = np.array(((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296)))
_DATE = struct.pack(">6H", 2022, 1, 1, 0, 0, 0)
"""A fixed one: the same colours give the same bytes."""


def rgb_profile(primaries: Sequence[float], curve: Sequence[float]) -> bytes:
    """A display profile. ``primaries``: x and y of white, red, green and blue; ``curve``: g, a, b, c, d of
    the parametric curve of type 3, from the stored number to light, both 0..1."""
    white, *colours = (_xyz(*primaries[at : at + 2]) for at in range(0, 8, 2))
    columns = np.stack(colours, axis=1)
    adaptation = _adaptation(white)
    matrix = adaptation @ (columns * np.linalg.solve(columns, white))
    tags = [(b"wtpt", _xyz_tag(_D50)), (b"chad", _numbers(b"sf32", adaptation.ravel()))]
    tags += [(name, _xyz_tag(matrix[:, at])) for at, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))]
    tags += [(name, _curve(curve)) for name in (b"rTRC", b"gTRC", b"bTRC")]
    return _profile(b"RGB ", tags)


def grey_profile(white: Sequence[float], curve: Sequence[float]) -> bytes:
    """As ``rgb_profile``, of one channel: the white's x and y, and the curve."""
    chad = _numbers(b"sf32", _adaptation(_xyz(*white)).ravel())
    return _profile(b"GRAY", [(b"wtpt", _xyz_tag(_D50)), (b"chad", chad), (b"kTRC", _curve(curve))])


def _xyz(x: float, y: float) -> NDArray[np.float64]:
    return np.array((x / y, 1.0, (1 - x - y) / y))


def _adaptation(white: NDArray[np.float64]) -> NDArray[np.float64]:
    """From the white to D50, linear Bradford (ICC.1:2022, annex E)."""
    ratio = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    adapted: NDArray[np.float64] = np.linalg.solve(_BRADFORD, ratio[:, None] * _BRADFORD)
    return adapted


def _numbers(kind: bytes, values: Sequence[float] | NDArray[np.float64]) -> bytes:
    return kind + b"\0" * 4 + b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _xyz_tag(values: NDArray[np.float64]) -> bytes:
    return _numbers(b"XYZ ", values)


def _curve(curve: Sequence[float]) -> bytes:
    values = b"".join(struct.pack(">i", round(value * 65536)) for value in curve)
    return b"para\0\0\0\0" + struct.pack(">HH", 3, 0) + values


def _text(words: str) -> bytes:
    encoded = words.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(encoded), 28) + encoded


def _profile(space: bytes, tags: list[tuple[bytes, bytes]]) -> bytes:
    tags = [(b"desc", _text("As the source says")), (b"cprt", _text("No copyright")), *tags]
    at, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, data in tags:
        table += struct.pack(">4sII", name, at + len(body), len(data))
        body += data + b"\0" * (-len(data) % 4)
    header = struct.pack(">I4sI4s4s4s", at + len(body), b"\0" * 4, 0x04400000, b"mntr", space, b"XYZ ")
    header += _DATE + b"acsp" + b"\0" * 28 + _numbers(b"", _D50)[4:]
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body
