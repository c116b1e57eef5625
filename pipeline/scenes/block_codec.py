"""What the file of a block holds: samples as they are stored, the mask, and which samples storing moved.

A valid sample that comes out as the value of no data is moved by one step before it is stored. Scores are
of what the restorer gave, so the block remembers where; mostly there is no such place, and no such bytes.

Shapes: H and W height and width of a block or of a rectangle, C channels, opacity not among them.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.formats.geotiff.format import all_bands
from pipeline.formats.geotiff.header import RasterHeader
from pipeline.formats.geotiff.mosaic import Block
from pipeline.formats.nodata import is_nodata
from pipeline.imaging.image import Image
from pipeline.scenes.geometry import Range
from pipeline.scenes.reader import Scene


@dataclass(frozen=True)
class BlockCodec:
    """How the blocks of one scene are written and read."""

    header: RasterHeader
    """Of the source: the bands, which of them is the opacity, and the value of no data."""
    dtype: str
    has_mask: bool

    @classmethod
    def of(cls, scene: Scene) -> BlockCodec:
        """For the blocks that are made of a scene."""
        return cls(scene.header, scene.dtype, scene.has_mask)

    def encode(self, restored: Image, mask_HW: NDArray[np.bool_] | None) -> bytes:
        """The file of a block."""
        samples_CHW = np.ascontiguousarray(all_bands(restored, self.header).transpose(2, 0, 1))
        mask = b"" if mask_HW is None else (mask_HW.astype(np.uint8) * 255).tobytes()
        return samples_CHW.tobytes() + mask + self._moved(restored)

    def decode(self, block: Block, rows: Range, columns: Range) -> NDArray[Any]:
        """CHW: what the restorer gave, rounded and clipped, for rows and columns of the block."""
        area = slice(*rows), slice(*columns)
        shape = len(self.header.bands), block.height, block.width
        samples = np.memmap(block.path, self.dtype, "r", shape=shape)
        part_CHW = np.array(samples[:, *area])
        if self.header.alpha is not None:
            part_CHW = np.delete(part_CHW, self.header.alpha, axis=0)
        with block.path.open("rb") as file:
            file.seek(samples.nbytes + (block.height * block.width if self.has_mask else 0))
            packed = file.read()
        if packed:
            shape = len(part_CHW), block.height, block.width
            bits = np.unpackbits(np.frombuffer(zlib.decompress(packed), np.uint8), count=int(np.prod(shape)))
            part_CHW[bits.reshape(shape)[:, *area] > 0] = self.header.nodata_value(self.dtype)
        return part_CHW

    def _moved(self, restored: Image) -> bytes:
        nodata = self.header.nodata_value(self.dtype)
        if nodata is None or nodata != nodata:
            return b""
        moved_HWC = is_nodata(restored.pixels_HWC, nodata)
        if restored.valid_HW is not None:
            moved_HWC &= restored.valid_HW[:, :, None]
        if not moved_HWC.any():
            return b""
        return zlib.compress(np.packbits(moved_HWC.transpose(2, 0, 1)).tobytes(), 1)
