"""A folder as zarr's own reader wants it: one object a chunk, asked again as every other object is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import zarr
from zarr.abc.store import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
)
from zarr.core.buffer import Buffer, BufferPrototype

from pipeline.doors.zarr.bounded import bounded
from pipeline.doors.zarr.nodes import METADATA
from pipeline.storage.folder import Folder


class FolderStore(Store):
    """Reads and writes the objects below a folder; ``absent``: keys of chunks that were asked for in vain.

    ``faults``: what the store raised, which zarr may wrap. Chunks and shards are written whole: what stands
    in their place is not read first: it can be damaged.
    """

    def __init__(self, folder: Folder, *, read_only: bool = True) -> None:
        super().__init__(read_only=read_only)
        self.folder = folder
        self.absent: list[str] = []
        self.faults: list[Exception] = []

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FolderStore) and other.folder.url == self.folder.url

    @property
    def supports_writes(self) -> bool:
        """Whole objects."""
        return True

    @property
    def supports_deletes(self) -> bool:
        """One by one."""
        return True

    @property
    def supports_listing(self) -> bool:
        """Nobody lists through this: see ``pipeline.doors.zarr.hierarchy``."""
        return False

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """An object or a part of one; ``None`` where there is none."""
        if not self.read_only and key.rpartition("/")[2] not in METADATA:
            return None
        try:
            data = await asyncio.to_thread(self._read, key, byte_range)
        except FileNotFoundError:
            self.absent.append(key)
            return None
        except Exception as error:
            self.faults.append(error)
            raise
        return prototype.buffer.from_bytes(data)

    def _read(self, key: str, wanted: ByteRequest | None) -> bytes:
        if wanted is None:
            return self.folder.read(key)
        if isinstance(wanted, RangeByteRequest):
            return self.folder.part(key, wanted.start, wanted.end)
        size = self.folder.entry(key).size
        if isinstance(wanted, OffsetByteRequest):
            return self.folder.part(key, wanted.offset, size)
        assert isinstance(wanted, SuffixByteRequest)
        return self.folder.part(key, max(size - wanted.suffix, 0), size)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """One request each."""
        return [await self.get(key, prototype, wanted) for key, wanted in key_ranges]

    async def exists(self, key: str) -> bool:
        """One request."""
        return await asyncio.to_thread(self.folder.exists, key)

    async def set(self, key: str, value: Buffer) -> None:
        """One PUT."""
        try:
            await asyncio.to_thread(self.folder.put, key, value.to_bytes())
        except Exception as error:
            self.faults.append(error)
            raise

    async def delete(self, key: str) -> None:
        """Not there is deleted."""
        await asyncio.to_thread(self.folder.delete, key)

    def list(self) -> AsyncIterator[str]:
        """Not asked."""
        raise NotImplementedError

    def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Not asked."""
        raise NotImplementedError

    def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Not asked."""
        raise NotImplementedError


def open_array(store: FolderStore, path: str, version: int) -> Any:
    """zarr's array at a path; every chunk is written, also one of the fill value: absent is not done.

    Of an array to be read no chunk decodes to more than its shape.
    """
    mode = "r" if store.read_only else "r+"
    format: Any = version
    array = zarr.open_array(store, path=path, mode=mode, zarr_format=format)
    return bounded(array) if store.read_only else array.with_config({"write_empty_chunks": True})
