"""Chunks of PNG that say how large a pixel is, where it lies, or which physical value a sample stands for.

sCAL, oFFs, pCAL and sTER: Extensions to the PNG 1.2 Specification, version 1.5, sections 2.1 to 2.5.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable

from pipeline.errors import ImageError
from pipeline.formats.grid import Grid
from pipeline.formats.png_chunks import Chunk

GRID_BOUND = frozenset({b"sCAL", b"oFFs", b"sTER"})
"""What holds of the grid of the source, and of another one only after it was changed."""
_IN_PIXELS = 0
_LINEAR = 0


def on_grid(chunks: Iterable[Chunk], source: tuple[int, int], output: tuple[int, int]) -> list[Chunk]:
    """The chunks as they hold of an image of another size (height and width), without those that cannot."""
    if source == output:
        return list(chunks)
    try:
        factor = float(Grid.between(source, output).factor)
    except ImageError:  # of sizes that say nothing of the place of a pixel
        factor = 0.0
    moved = (_moved(chunk, factor) if chunk.kind in GRID_BOUND else chunk for chunk in chunks)
    return [chunk for chunk in moved if chunk is not None]


def _moved(chunk: Chunk, factor: float) -> Chunk | None:
    """Of pixels ``factor`` times smaller, and as many times as many; ``None`` where it is not known."""
    if factor == 1:  # cut at the lower right
        return chunk if chunk.kind != b"sTER" else None
    if not factor:
        return None
    if chunk.kind == b"sCAL":
        unit, sides = chunk.data[:1], _numbers(chunk.data[1:].split(b"\0"))
        lengths = b"\0".join(repr(side / factor).encode() for side in sides)
        return Chunk(b"sCAL", unit + lengths) if len(sides) == 2 else None
    if chunk.kind == b"oFFs" and len(chunk.data) == 9:
        x, y, unit = struct.unpack(">iiB", chunk.data)
        if unit != _IN_PIXELS:
            return chunk
        x, y = (round(each * factor) for each in (x, y))
        return Chunk(b"oFFs", struct.pack(">iiB", x, y, unit)) if max(abs(x), abs(y)) < 2**31 else None
    return None


def physical_scale(chunks: Iterable[Chunk], most: int) -> tuple[str, float, float] | None:
    """Unit, value of one stored step and value of a stored 0, by a linear pCAL; ``None`` where there is none.

    ``most``: the greatest sample, which stands for the chunk's x1 as 0 does for its x0.
    """
    data = next((chunk.data for chunk in chunks if chunk.kind == b"pCAL"), b"")
    _, _, rest = data.partition(b"\0")
    if len(rest) < 10:
        return None
    x0, x1, equation, count = struct.unpack(">iiBB", rest[:10])
    unit, *parameters = rest[10:].split(b"\0")
    values = _numbers(parameters)
    if equation != _LINEAR or count != 2 or len(values) != 2 or x0 == x1 or not values[1]:
        return None
    return unit.decode("latin-1"), values[1] / most, values[0] + values[1] * x0 / (x1 - x0)


def _numbers(texts: list[bytes]) -> list[float]:
    """Finite ones; none where one of the texts is no such number."""
    try:
        numbers = [float(text) for text in texts]
    except ValueError:
        return []
    return numbers if all(map(math.isfinite, numbers)) else []
