"""The arrays of a Zarr hierarchy, block by block."""

from __future__ import annotations

import io
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.doors.zarr.blocks import Block, Cut, Versions, number_of
from pipeline.doors.zarr.hierarchy import Hierarchy, fault_of
from pipeline.doors.zarr.nodes import METADATA, Node
from pipeline.doors.zarr.store import FolderStore, open_array
from pipeline.errors import FolderNotFound, ImageError, StorageError, describe
from pipeline.formats.zarr_container import Header, pack
from pipeline.hashing import canonical_json, short_hash
from pipeline.jobs.stores import ZarrStore
from pipeline.storage import folder as storage
from pipeline.storage.base import Entry
from pipeline.storage.folder import Folder
from pipeline.storage.patterns import matcher

EMPTY = "blocks of Zarr arrays of which no chunk was written, and which stay so"
"""What a listing leaves out and counts."""


class ZarrArchive:
    """The images at the address of a hierarchy."""

    def __init__(self, folder: Folder, options: ZarrStore) -> None:
        self._folder, self._options = folder, options
        self._hierarchy: Hierarchy | None = None
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Of the hierarchy."""
        return self._folder.url

    def pages(self, pattern: str = "*", left_out: Counter[str] | None = None) -> Iterator[list[Entry]]:
        """Blocks whose key ``ARRAY/INDEX,ROWS,COLUMNS.zblock`` the pattern means; an array is listed at a
        time, and 9 bytes of every block of it are in memory."""
        counts: Counter[str] = Counter() if left_out is None else left_out
        matches = matcher(pattern)
        try:
            with self._lock:
                self._hierarchy = Hierarchy.read(self._folder, self._options)
            entries = (each for each in self._entries(counts) if matches(each.key))
            while page := list(islice(entries, storage.PAGE)):
                yield page
        except StorageError:
            raise
        except Exception as error:
            kind = FolderNotFound if isinstance(error, FileNotFoundError) else StorageError
            raise kind(f"cannot list {self.url}: {describe(error)}") from error

    def _entries(self, left_out: Counter[str]) -> Iterator[Entry]:
        for path, cut in self._read_hierarchy().cuts(left_out).items():
            if fault := fault_of(cut.node):
                version = _digest(cut.node)
                yield Entry(
                    path + ".zblock", -1, version, at=Block(path, version=version, fault=fault).text()
                )
            else:
                yield from self._blocks(cut, left_out)

    def _blocks(self, cut: Cut, left_out: Counter[str]) -> Iterator[Entry]:
        versions, digest = Versions(cut), _digest(cut.node)
        for numbers, version in self._chunks(cut.node):
            versions.add(numbers, version)
        for place in np.ndindex(cut.grid):
            if versions.counts[place]:
                yield _entry(cut, cut.block(place, f"{digest}-{int(versions.sums[place]):016x}"))
            else:
                left_out[EMPTY] += 1

    def _chunks(self, node: Node) -> Iterator[tuple[tuple[int, ...], str]]:
        folder = self._folder.child(node.path) if node.path else self._folder
        limits = [-(-extent // chunk) for extent, chunk in zip(node.shape, node.chunks, strict=True)]
        for page in folder.pages():
            for entry in page:
                numbers = None if entry.key in METADATA else node.chunk_numbers(entry.key)
                if numbers is not None and all(n < limit for n, limit in zip(numbers, limits, strict=True)):
                    yield numbers, entry.version

    def _read_hierarchy(self) -> Hierarchy:
        with self._lock:
            if self._hierarchy is None:
                self._hierarchy = Hierarchy.read(self._folder, self._options)
            return self._hierarchy

    def uri(self, at: str) -> str:
        """The array, and the block behind it."""
        return self._folder.uri(Block.of(at).key)

    def read(self, at: str) -> bytes:
        """The block with its margin: a request a chunk, and one more to see that it is what was listed."""
        block = self._block(at)
        cut = self._read_hierarchy().cut(block.path)
        header, samples_CHW = read_window(self._folder, cut, block)
        now = self._version(cut, block)
        if now and now != block.version:
            raise ImageError("CHANGED", "another block than the one that was listed; run the job again")
        return pack(header, samples_CHW)

    def _version(self, cut: Cut, block: Block) -> str:
        """Of the block as it is now; empty where the store does not tell it as a listing does."""
        total = 0
        for numbers in cut.chunk_ranges(*cut.window(block), block.index):
            key = f"{block.path}/{cut.node.chunk_key(numbers)}".lstrip("/")
            try:
                version = self._folder.entry(key).version
            except FileNotFoundError:
                continue
            if not version:
                return ""
            total = (total + number_of(numbers, version)) % (1 << 64)
        return f"{_digest(cut.node)}-{total:016x}"

    def measure(self, at: str) -> tuple[int, int, int]:
        """Of the block with its margin, or of a chunk where that is larger."""
        block = self._block(at)
        return self._read_hierarchy().cut(block.path).measure(block)

    def _block(self, at: str) -> Block:
        """``ImageError`` for what stands for an array that cannot be read."""
        block = Block.of(at)
        if block.fault:
            raise ImageError("UNREADABLE", block.fault)
        return block

    def head(self, at: str, length: int) -> bytes:
        """Of the block's bytes."""
        return self.read(at)[:length]

    def open(self, at: str) -> IO[bytes]:
        """In memory."""
        return io.BytesIO(self.read(at))

    def place(self, at: str) -> tuple[Folder, str] | None:
        """A block is no object of its own."""
        return None

    def entry(self, at: str) -> Entry:
        """With the version that its chunks have now."""
        block = Block.of(at)
        cut = self._read_hierarchy().cut(block.path)
        return _entry(cut, replace(block, version=self._version(cut, block)))


def read_window(folder: Folder, cut: Cut, block: Block) -> tuple[Header, NDArray[Any]]:
    """A block with its margin, CHW. ``ImageError`` where chunks do not decode; raises what the store does."""
    rows, columns = cut.window(block)
    store = FolderStore(folder)
    try:
        array = open_array(store, block.path, cut.node.version)
        found = cut.node.as_samples(np.asarray(array[cut.selection(block.index, rows, columns)]))
    except ImageError:
        raise
    except Exception as error:
        if store.faults:
            raise store.faults[0] from None
        raise ImageError(
            "UNREADABLE", f"a chunk of the array does not decode ({type(error).__name__} in zarr)"
        ) from None
    samples = found.transpose(cut.order())
    samples_CHW = samples if samples.ndim == 3 else samples[None]
    header = replace(cut.header(block), absent=_absent(cut, block, set(store.absent)))
    return header, samples_CHW


def _absent(cut: Cut, block: Block, missing: set[str]) -> tuple[tuple[int, int, int, int], ...]:
    """Where in the window chunks were never written."""
    if not missing:
        return ()
    (top, bottom), (left, right) = cut.window(block)
    found = set()
    rows, columns = (cut.node.chunks[axis] for axis in (cut.axes.rows, cut.axes.columns))
    for numbers in cut.chunk_ranges((top, bottom), (left, right), block.index):
        if f"{block.path}/{cut.node.chunk_key(numbers)}".lstrip("/") in missing:
            y, x = numbers[cut.axes.rows] * rows, numbers[cut.axes.columns] * columns
            first = max(y, top) - top, max(x, left) - left
            last = min(y + rows, bottom) - top, min(x + columns, right) - left
            found.add((first[0], last[0], first[1], last[1]))
    return tuple(sorted(found))


def _entry(cut: Cut, block: Block) -> Entry:
    # Chunks that are absent are known when they are read, and make the header longer: no size is told then.
    return Entry(block.key, -1, block.version, at=block.text())


def _digest(node: Node) -> str:
    return short_hash(canonical_json(dict(node.document)), canonical_json(dict(node.attributes)))[:12]
