"""How an array is cut into images that are restored: blocks of whole chunks, so that nothing is joined."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.doors.line import line_of
from pipeline.doors.zarr.nodes import Axes, Node
from pipeline.formats.zarr_container import ENDING, Header
from pipeline.hashing import short_hash

Range = tuple[int, int]


@dataclass(frozen=True)
class Block:
    """One image: a rectangle of a plane of an array, or a fault of the array."""

    path: str
    """Of the array, below the address."""
    index: tuple[int, ...] = ()
    """Along the axes that are neither of the image nor of its bands."""
    rows: Range = (0, 0)
    columns: Range = (0, 0)
    version: str = ""
    fault: str = ""

    @property
    def key(self) -> str:
        """Array, then index, rows and columns."""
        if self.fault:
            return self.path + ENDING
        places = [*map(str, self.index), *(f"{first}-{last}" for first, last in (self.rows, self.columns))]
        return f"{self.path}/{','.join(places)}{ENDING}".lstrip("/")

    def text(self) -> str:
        """As one line, for the plan."""
        return line_of(self)

    @classmethod
    def of(cls, text: str) -> Block:
        """Out of that line."""
        path, index, rows, columns, version, fault = json.loads(text)
        return cls(path, tuple(index), tuple(rows), tuple(columns), version, fault)

    @classmethod
    def of_key(cls, key: str) -> Block:
        """Out of its key. ``ValueError`` for one that is no block's."""
        path, _, places = key.removesuffix(ENDING).rpartition("/")
        *index, rows, columns = places.split(",")
        first, last = (tuple(map(int, each.split("-"))) for each in (rows, columns))
        return cls(path, tuple(map(int, index)), (first[0], first[1]), (last[0], last[1]))


@dataclass(frozen=True)
class Cut:
    """An array and its blocks. ``side``: about so many pixels; ``margin``: read around each of them."""

    node: Node
    axes: Axes
    side: int
    margin: int

    @property
    def others(self) -> tuple[int, ...]:
        """The axes along which every index is an image of its own."""
        taken = (self.axes.rows, self.axes.columns, self.axes.bands)
        return tuple(axis for axis in range(len(self.node.shape)) if axis not in taken)

    @property
    def steps(self) -> Range:
        """Rows and columns of a block: whole chunks."""
        chunks = self.node.chunks
        rows, columns = (
            max(1, self.side // chunks[a]) * chunks[a] for a in (self.axes.rows, self.axes.columns)
        )
        return rows, columns

    @property
    def grid(self) -> tuple[int, ...]:
        """How many blocks there are along the other axes, the rows and the columns."""
        shape = self.node.shape
        spatial = zip((shape[self.axes.rows], shape[self.axes.columns]), self.steps, strict=True)
        return (*(shape[axis] for axis in self.others), *(-(-extent // step) for extent, step in spatial))

    def block(self, place: tuple[int, ...], version: str) -> Block:
        """The block at a place of the grid."""
        *index, y, x = place
        ranges = []
        for number, step, axis in zip((y, x), self.steps, (self.axes.rows, self.axes.columns), strict=True):
            ranges.append((number * step, min((number + 1) * step, self.node.shape[axis])))
        return Block(self.node.path, tuple(index), ranges[0], ranges[1], version)

    def window(self, block: Block) -> tuple[Range, Range]:
        """The rows and columns that are read for a block."""
        axes = (self.axes.rows, self.axes.columns)
        first, last = (
            (max(0, start - self.margin), min(end + self.margin, self.node.shape[axis]))
            for (start, end), axis in zip((block.rows, block.columns), axes, strict=True)
        )
        return first, last

    def measure(self, block: Block) -> tuple[int, int, int]:
        """Rows, columns and samples of the block with its margin, or of a chunk where that is larger."""
        shape, pieces = self.header(block).shape, self.node.pieces
        height, width = (
            max(extent, pieces[axis])
            for extent, axis in zip(shape[1:], (self.axes.rows, self.axes.columns), strict=True)
        )
        return height, width, max(math.prod(shape), math.prod(pieces))

    def header(self, block: Block) -> Header:
        """Of the bytes of a block, as far as the metadata say it."""
        rows, columns = self.window(block)
        height, width = rows[1] - rows[0], columns[1] - columns[0]
        bands = 1 if self.axes.bands is None else self.node.shape[self.axes.bands]
        core = (block.rows[0] - rows[0], block.columns[0] - columns[0])
        extent = (block.rows[1] - block.rows[0], block.columns[1] - block.columns[0])
        told, nodata = self.node.attributes, self.node.nodata
        return Header(
            dtype=self.node.samples_dtype,
            shape=(bands, height, width),
            core=None if extent == (height, width) else (*core, *extent),
            nodata=nodata if len(nodata) > 1 else nodata[0] if nodata else None,
            valid=self.node.valid,
            scale=float(told.get("scale_factor", 1.0)),
            offset=float(told.get("add_offset", 0.0)),
            unit=str(told.get("units", "")),
            whole=self.grid[-2:] == (1, 1),
        )

    def selection(self, index: tuple[int, ...], rows: Range, columns: Range) -> tuple[Any, ...]:
        """What zarr is asked for."""
        chosen: list[Any] = [slice(None)] * len(self.node.shape)
        for axis, place in zip(self.others, index, strict=True):
            chosen[axis] = place
        chosen[self.axes.rows], chosen[self.axes.columns] = slice(*rows), slice(*columns)
        return tuple(chosen)

    def order(self) -> tuple[int, int, int] | tuple[int, int]:
        """The places of bands, rows and columns in what a selection gives."""
        kept = [axis for axis in range(len(self.node.shape)) if axis not in self.others]
        axes = (self.axes.rows, self.axes.columns)
        if self.axes.bands is None:
            return kept.index(axes[0]), kept.index(axes[1])
        return kept.index(self.axes.bands), kept.index(axes[0]), kept.index(axes[1])

    def chunk_ranges(self, rows: Range, columns: Range, index: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        """The numbers of the chunks that hold a window."""
        wanted: list[range] = [range(1)] * len(self.node.shape)
        chunks, shape = self.node.chunks, self.node.shape
        for axis, (first, last) in ((self.axes.rows, rows), (self.axes.columns, columns)):
            wanted[axis] = range(first // chunks[axis], -(-last // chunks[axis]))
        for axis, place in zip(self.others, index, strict=True):
            wanted[axis] = range(place // chunks[axis], place // chunks[axis] + 1)
        if self.axes.bands is not None:
            wanted[self.axes.bands] = range(-(-shape[self.axes.bands] // chunks[self.axes.bands]))
        return product(*wanted)


class Versions:
    """A number for every block that changes with any of its chunks: 8 bytes a block, however many chunks."""

    def __init__(self, cut: Cut) -> None:
        self._cut = cut
        self.sums: NDArray[np.uint64] = np.zeros(cut.grid, np.uint64)
        self.counts: NDArray[np.bool_] = np.zeros(cut.grid, np.bool_)

    def add(self, numbers: tuple[int, ...], version: str) -> None:
        """Notes a chunk that is there."""
        cut, chunks = self._cut, self._cut.node.chunks
        places: list[slice] = []
        for axis in cut.others:
            places.append(slice(numbers[axis] * chunks[axis], (numbers[axis] + 1) * chunks[axis]))
        near = list(places)
        for axis, step in zip((cut.axes.rows, cut.axes.columns), cut.steps, strict=True):
            first, last = numbers[axis] * chunks[axis], (numbers[axis] + 1) * chunks[axis]
            places.append(slice(first // step, -(-last // step)))
            near.append(slice(max(0, first - cut.margin) // step, -(-(last + cut.margin) // step)))
        self.sums[tuple(near)] += np.uint64(number_of(numbers, version))
        self.counts[tuple(places)] = True


def number_of(numbers: tuple[int, ...], version: str) -> int:
    """Of a chunk at a version; sums of these tell sets of chunks apart."""
    return int(short_hash(*map(str, numbers), version)[:16], 16)
