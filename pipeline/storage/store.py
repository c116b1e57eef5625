"""What a store does for ``pipeline.storage.folder.Folder``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple, Protocol, runtime_checkable

from pipeline.storage.base import Entry
from pipeline.storage.entries import Entries


class Store(Protocol):
    """A folder of objects by their keys.

    Reading raises ``FileNotFoundError``, ``OSError`` or the store's own error. Writing is all or nothing.
    """

    @property
    def protocol(self) -> str:
        """The store's name, the same for all its aliases: ``file``, ``s3``, ``gs``, ``memory``."""
        ...

    @property
    def root(self) -> str:
        """The folder's path inside its store."""
        ...

    def walk(self, left_out: Counter[str]) -> Iterator[Entries] | Iterator[Entry]:
        """All objects below, in order of key; counts by reason what is there and is not one.

        Some at a time, which is quicker, or one by one.
        """
        ...

    def read(self, key: str) -> bytes:
        """The whole object."""
        ...

    def fetch(self, key: str, path: Path) -> None:
        """Copies the whole object to a file of this machine."""
        ...

    def head(self, key: str, length: int) -> bytes:
        """The first ``length`` bytes, or all there are."""
        ...

    def part(self, key: str, start: int, end: int) -> bytes:
        """Bytes from ``start`` up to ``end``, or as many as there are."""
        ...

    def open(self, key: str) -> IO[bytes]:
        """The object as a file to read and seek in."""
        ...

    def entry(self, key: str) -> Entry:
        """One object as it is now; its ``version`` is empty where it could differ from the listing's."""
        ...

    def exists(self, key: str) -> bool:
        """Whether the object is there."""
        ...

    def put(self, key: str, data: bytes | Path) -> None:
        """Writes the whole object, out of memory or of a file."""
        ...

    def create(self, key: str, data: bytes) -> bool:
        """Writes the whole object unless there is one; whether it did."""
        ...

    def delete(self, key: str) -> None:
        """Removes an object; one that is not there is no error."""
        ...

    def delete_all(self, keys: Sequence[str]) -> None:
        """Removes objects, in as few requests as the store can."""
        ...


class Kept(NamedTuple):
    """What a store says of an object without giving it."""

    sha256: str
    """In hex, of the bytes that it took; it checked them as they came."""
    size: int


@runtime_checkable
class KeepsChecksums(Protocol):
    """A store, or results in one, that may keep the SHA-256 which came with an object."""

    def kept(self, key: str) -> Kept | None:
        """``None`` where it keeps none of this object; raises as ``entry`` does."""
        ...


@runtime_checkable
class TellsTimes(Protocol):
    """A store that tells when an object was written, by one clock for all of them."""

    def written_at(self, key: str) -> float:
        """Seconds since 1970; raises as ``entry`` does."""
        ...
