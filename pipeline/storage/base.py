"""What a store does for ``pipeline.storage.folder.Folder``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

CONNECTIONS = 64
"""Requests of one process to a store at a time: at 25 ms each, a thousand images a second are read and stored
with fifty."""


@dataclass(frozen=True)
class Entry:
    """One object in a listing."""

    key: str
    """Path below the folder, with forward slashes. Ends in ``/`` for a folder that cannot be listed."""
    size: int
    """Bytes; -1 where unknown."""
    version: str
    """ETag, or size and modification time: changes whenever the content does."""
    attached: str = ""
    """What else the listing knows of it, as the text of a ``pipeline.attached.Attached``; mostly nothing."""
    at: str = ""
    """What its archive reads it by, where that is not the key: see ``pipeline.doors``."""
    group: str = ""
    """What it stands or falls with, where the listing says so."""
    bundle: str = ""
    """The object that holds it with others, at its version, where results are bundled likewise."""

    @classmethod
    def unreadable(cls, key: str) -> Entry:
        """A sub-folder that cannot be listed."""
        return cls(f"{key.rstrip('/')}/", -1, "unreadable")

    @property
    def is_unreadable(self) -> bool:
        """Whether it is a sub-folder that cannot be listed; an object's key may end in a slash too."""
        return self.key.endswith("/") and self.version == "unreadable"


NO_FILE = "pipes, sockets and devices, which are not opened"
"""What a listing leaves out and counts: reading a pipe waits for ever, some devices never end."""
LOOP = "links that lead back to a folder they are in"
UNFINISHED = "unfinished files (.restora-*.part) of an interrupted write"
MARKER = "empty objects that only mark a folder"


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

    def walk(self, left_out: Counter[str]) -> Iterator[Entry]:
        """All objects below, in order of key; counts by reason what is there and is not one."""
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
