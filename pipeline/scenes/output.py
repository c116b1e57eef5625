"""What the strips of a scene restored, as one image that is never read as a whole.

Shapes: H and W height and width, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.formats.geotiff.mosaic import Block
from pipeline.scenes.block_codec import BlockCodec
from pipeline.scenes.geometry import Range


@dataclass(frozen=True)
class Output:
    """Blocks that cover it once."""

    blocks: Sequence[Block]
    codec: BlockCodec

    @cached_property
    def size(self) -> Range:
        """Height and width."""
        bottom = max(each.top + each.height for each in self.blocks)
        return bottom, max(each.left + each.width for each in self.blocks)

    def pixels(self, rows: Range, columns: Range) -> NDArray[Any]:
        """A rectangle, CHW: what the restorer gave, rounded and clipped."""
        channels = len(self.codec.header.channels)
        pixels_CHW = np.empty((channels, rows[1] - rows[0], columns[1] - columns[0]), self.codec.dtype)
        for block in self.blocks:
            down = _shared(rows, block.top, block.height)
            across = _shared(columns, block.left, block.width)
            if down[0] < down[1] and across[0] < across[1]:
                its = _from(block.top, down), _from(block.left, across)
                place = slice(*_from(rows[0], down)), slice(*_from(columns[0], across))
                pixels_CHW[:, *place] = self.codec.decode(block, *its)
        return pixels_CHW


def _shared(side: Range, first: int, length: int) -> Range:
    return max(side[0], first), min(side[1], first + length)


def _from(origin: int, side: Range) -> Range:
    return side[0] - origin, side[1] - origin
