"""Samples that are no measurements (padding, NaN), kept so that they come back exactly."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.formats.grid import Grid


def pack_gaps(samples_HWC: NDArray[Any], gaps_HWC: NDArray[np.bool_]) -> bytes:
    """Places and values of the gaps; a few hundred bytes for a usual image."""
    values = np.where(gaps_HWC, samples_HWC, samples_HWC.dtype.type(0))
    return zlib.compress(np.packbits(gaps_HWC).tobytes() + values.tobytes(), 1)


def without_gaps(packed: bytes, size: tuple[int, int, int], data_HW: NDArray[np.bool_]) -> bytes:
    """The gaps of an image of this height, width and channels, but for those where there is data by now."""
    content, count = zlib.decompress(packed), int(np.prod(size))
    length = (count + 7) // 8
    bits = np.frombuffer(content, np.uint8, length)
    gaps_HWC = np.unpackbits(bits, count=count).astype(np.bool_).reshape(size)
    kept_HWC = gaps_HWC & ~data_HW[:, :, None]
    return zlib.compress(np.packbits(kept_HWC).tobytes() + content[length:], 1)


def put_back_gaps(
    samples_HWC: NDArray[Any], packed: bytes, grid: Grid, size: tuple[int, int]
) -> NDArray[Any]:
    """The samples with the gaps of their source, of height and width ``size``, at the nearest pixels."""
    shape = (*size, samples_HWC.shape[2])
    content, count = zlib.decompress(packed), int(np.prod(shape))
    bits = np.frombuffer(content, np.uint8, (count + 7) // 8)
    gaps_HWC = np.unpackbits(bits, count=count).astype(np.bool_).reshape(shape)
    values_HWC = np.frombuffer(content, samples_HWC.dtype, count, offset=len(bits)).reshape(shape)
    rows, columns = (((np.arange(extent) + 0.5) / float(grid.factor)).astype(np.intp) for extent in grid.size)
    at = rows[:, None], columns[None, :]
    return np.where(gaps_HWC[at], values_HWC[at], samples_HWC)
