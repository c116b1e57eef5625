"""A cloud-optimised GeoTIFF out of rectangles of samples on disk, for rasters that do not fit into memory.

GDAL sees a virtual raster over virtual rasters, one for each rectangle, and reads as it writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from pipeline.formats.geotiff.gdal import configured
from pipeline.formats.geotiff.header import RasterHeader
from pipeline.formats.geotiff.writing import TYPES, add, add_raw, copy_as_cog, corrections, virtual_raster


@dataclass(frozen=True)
class Block:
    """A rectangle of an image as a file: its samples, CHW, then its mask, HW of 0 and 255, if it has one."""

    path: Path
    top: int
    left: int
    height: int
    width: int


def write_mosaic(
    path: Path,
    blocks: Sequence[Block],
    header: RasterHeader,
    dtype: str,
    *,
    mask: bool,
    level: int,
    threads: int = 1,
) -> None:
    """The file: byte for byte what ``write_cog`` makes of the same samples, whatever the blocks.

    ``header`` has the whole size, and the blocks cover it once. Raises as ``write_cog`` does.
    """
    with (
        configured("UNENCODABLE") as library,
        _Rectangles(library, header, dtype, mask).opened(blocks) as own,
    ):
        description = virtual_raster(header, dtype, own.fill, own.fill_mask if mask else None, raw=False)
        copy_as_cog(library, description, header, str(path), level, threads)
    with path.open("r+b") as file, mmap(file.fileno(), 0) as data:
        for at, right in corrections(data, header):
            data[at : at + len(right)] = right


class _Rectangles:
    """The blocks as rasters of their own, in GDAL's memory: a few hundred bytes of description each."""

    def __init__(self, library: Any, header: RasterHeader, dtype: str, mask: bool) -> None:
        self._library, self._header, self._dtype, self._mask = library, header, dtype, mask
        self._found: list[tuple[Block, str, str]] = []

    @contextmanager
    def opened(self, blocks: Sequence[Block]) -> Iterator[_Rectangles]:
        with ExitStack() as stack:
            for block in blocks:
                texts = [self._samples(block), *([self._own_mask(block)] if self._mask else [])]
                files = [stack.enter_context(self._library.MemoryFile(t.encode(), ext=".vrt")) for t in texts]
                self._found.append((block, files[0].name, files[-1].name))
            yield self

    def fill(self, band: ElementTree.Element, index: int) -> None:
        for block, samples, _ in self._found:
            _add_source(band, block, samples, index + 1, TYPES[self._dtype])

    def fill_mask(self, band: ElementTree.Element, _: int) -> None:
        for block, _samples, mask in self._found:
            _add_source(band, block, mask, 1, "Byte")

    def _samples(self, block: Block) -> str:
        size = np.dtype(self._dtype).itemsize
        root = _root(block)
        for index in range(len(self._header.bands)):
            first = index * block.height * block.width * size
            _add_band(root, index, TYPES[self._dtype], block, first, size)
        return ElementTree.tostring(root, "unicode")

    def _own_mask(self, block: Block) -> str:
        samples = len(self._header.bands) * block.height * block.width * np.dtype(self._dtype).itemsize
        root = _root(block)
        _add_band(root, 0, "Byte", block, samples, 1)
        return ElementTree.tostring(root, "unicode")


def _root(block: Block) -> ElementTree.Element:
    return ElementTree.Element("VRTDataset", rasterXSize=str(block.width), rasterYSize=str(block.height))


def _add_band(root: ElementTree.Element, index: int, kind: str, block: Block, first: int, size: int) -> None:
    band = add(root, "VRTRasterBand", dataType=kind, band=str(index + 1), subClass="VRTRawRasterBand")
    add_raw(band, str(block.path), first, size, size * block.width)


def _add_source(band: ElementTree.Element, block: Block, path: str, index: int, kind: str) -> None:
    source = add(band, "SimpleSource")
    add(source, "SourceFilename", path, relativeToVRT="0")
    add(source, "SourceBand", str(index))
    # Told its size, GDAL does not open every block before it needs it.
    size = {"RasterXSize": str(block.width), "RasterYSize": str(block.height), "DataType": kind}
    add(source, "SourceProperties", BlockXSize=str(block.width), BlockYSize="1", **size)
    area = {"xSize": str(block.width), "ySize": str(block.height)}
    add(source, "SrcRect", xOff="0", yOff="0", **area)
    add(source, "DstRect", xOff=str(block.left), yOff=str(block.top), **area)
