"""Results as arrays of the names that the input's have: every block is written by itself, in its own chunks.

Its chunks are in the store before its unit is committed; what a killed attempt left is written again.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import IO

import numpy as np

from pipeline.doors.outlet import Locate, Results, Row
from pipeline.doors.zarr.archive import read_window
from pipeline.doors.zarr.blocks import Block, Cut
from pipeline.doors.zarr.finishing import OURS, finish_hierarchy, restored_metadata
from pipeline.doors.zarr.hierarchy import Hierarchy
from pipeline.doors.zarr.nodes import Axes, read_array
from pipeline.doors.zarr.store import FolderStore, open_array
from pipeline.errors import ImageError
from pipeline.formats.zarr_container import MAGIC, Header, pack, unpack
from pipeline.jobs.datasets import Dataset
from pipeline.jobs.stores import ZarrStore
from pipeline.storage.folder import Folder
from pipeline.storage.keys import safe_key
from pipeline.storage.noting import NotingFolder, Written
from pipeline.units import Source


class ZarrOutlet:
    """Writes below ``OUT/NAME.zarr``, named as the input; of several datasets in a folder each."""

    staging: Path | None = None

    def __init__(self, folder: Folder, datasets: Mapping[str, tuple[Dataset, ZarrStore]]) -> None:
        self.folder, self._datasets = folder, datasets
        self._inputs: dict[str, Hierarchy] = {}
        self._made: set[tuple[str, str, Fraction]] = set()
        self._lock = threading.Lock()

    def stage_in(self, folder: Path) -> None:
        """Nothing waits."""

    def key(self, source: Source, key: str) -> str:
        """Below the hierarchy; the extension is not of an object."""
        return f"{self._root(source.dataset)}/{safe_key(Block.of(source.at).key)}"

    def stored_at(self, key: str) -> str:
        """Itself."""
        return key

    def companion(self, key: str) -> str | None:
        """The array says it all."""
        return None

    def put(self, source: Source, key: str, data: bytes | Path) -> str:
        """One PUT a chunk. What rows call it says its rows and columns in the array that was written."""
        content = data if isinstance(data, bytes) else data.read_bytes()
        if not content.startswith(MAGIC):
            raise ImageError("UNENCODABLE", "only blocks go into a Zarr array; leave output_format out")
        _, samples_CHW = unpack(content)
        block = Block.of(source.at)
        factor = Fraction(samples_CHW.shape[1], block.rows[1] - block.rows[0])
        cut = self._input(source.dataset).cut(block.path)
        root, made = self._root(source.dataset), placed(block, factor)
        made = replace(made, path=safe_key(block.path) if block.path else "")
        self._make(root, cut, made.path, factor)
        store = FolderStore(self.folder.child(root), read_only=False)
        array = open_array(store, made.path, cut.node.version)
        samples = cut.node.as_stored(samples_CHW if len(cut.order()) == 3 else samples_CHW[0])
        try:
            array[cut.selection(made.index, made.rows, made.columns)] = samples.transpose(
                np.argsort(cut.order())
            )
        except Exception:
            if not store.faults:
                raise
            raise store.faults[0] from None
        return f"{root}/{made.key}"

    def _make(self, root: str, cut: Cut, path: str, factor: Fraction) -> None:
        """The array's metadata, unless they are there."""
        if (root, path, factor) in self._made:
            return
        for name, data in restored_metadata(cut, factor).items():
            key = "/".join(filter(None, (root, path, name)))
            if not self.folder.exists(key) or self.folder.read(key) != data:
                self.folder.put(key, data)
        self._made.add((root, path, factor))

    def remove(self, source: Source, key: str) -> None:
        """What was written is written over by the next attempt; no row names it."""

    def finish(self, sources: Sequence[Source], rows: Sequence[Row], locate: Locate) -> dict[str, Exception]:
        """Every chunk is there."""
        return {}

    def conclude(self, rows: Iterable[Row], written: Written) -> None:
        """Coordinates, attributes, smaller levels and consolidated metadata: what others open it by."""
        factors: dict[str, Fraction] = {}
        arrays: dict[str, set[str]] = {}
        for row in rows:
            block, made = Block.of_key(row["key"]), Block.of_key(row["output_uri"])
            factors[row["dataset"]] = Fraction(made.rows[1] - made.rows[0], block.rows[1] - block.rows[0])
            arrays.setdefault(row["dataset"], set()).add(block.path)
        for name, factor in factors.items():
            target = NotingFolder(self.folder, written, self._root(name))
            finish_hierarchy(self._input(name), target, arrays[name], factor)

    def results(self) -> Results:
        """Blocks, by their keys."""
        return ZarrResults(self.folder)

    def _root(self, dataset: str) -> str:
        name = safe_key(self._datasets[dataset][0].uri.rstrip("/").rpartition("/")[2] or "restored")
        return f"{dataset}/{name}" if len(self._datasets) > 1 else name

    def _input(self, dataset: str) -> Hierarchy:
        with self._lock:
            if dataset not in self._inputs:
                told, options = self._datasets[dataset]
                self._inputs[dataset] = Hierarchy.read(Folder(told.uri, told.profile), options)
            return self._inputs[dataset]


def placed(block: Block, factor: Fraction) -> Block:
    """Where a block is in the array that is written."""
    rows, columns = ((int(first * factor), int(last * factor)) for first, last in (block.rows, block.columns))
    return replace(block, rows=rows, columns=columns)


class ZarrResults:
    """Reads what was written as the very bytes that were handed over."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._cuts: dict[str, tuple[Folder, Cut]] = {}
        self._lock = threading.Lock()

    def read(self, key: str) -> bytes:
        """``FileNotFoundError`` where a chunk of it is gone."""
        block, folder, cut = self._found(key)
        header, samples_CHW = read_window(folder, cut, block)
        if header.absent:
            raise FileNotFoundError(key)
        return pack(Header(header.dtype, samples_CHW.shape), samples_CHW)

    def open(self, key: str) -> IO[bytes]:
        """In memory."""
        return io.BytesIO(self.read(key))

    def exists(self, key: str) -> bool:
        """By every chunk of it."""
        try:
            block, folder, cut = self._found(key)
        except FileNotFoundError:
            return False
        chunks = cut.chunk_ranges(block.rows, block.columns, block.index)
        return all(folder.exists(cut.node.chunk_key(each)) for each in chunks)

    def _found(self, key: str) -> tuple[Block, Folder, Cut]:
        """A block in its array, which is the root of a folder of its own, and has no margin."""
        block = Block.of_key(key)
        with self._lock:
            if block.path not in self._cuts:
                folder = self._folder.child(block.path)
                if (node := read_array(folder)) is None:
                    raise FileNotFoundError(key)
                self._cuts[block.path] = folder, Cut(node, Axes(**node.attributes[OURS]["axes"]), 1, 0)
            folder, cut = self._cuts[block.path]
        return replace(block, path=""), folder, cut
