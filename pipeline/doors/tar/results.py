"""Results in shards, read one by one: the headers of a shard once, its content in large pieces."""

from __future__ import annotations

import io
import threading
from typing import IO

from pipeline.doors.tar.keys import split
from pipeline.doors.tar.shard import Found, found_in
from pipeline.doors.tar.windows import Windows
from pipeline.storage.folder import Folder

_KEPT = 16
"""Shards whose headers are in memory; whoever reads many goes through them in order of key."""


class TarResults:
    """``read(key)`` of what a run wrote into shards below a folder."""

    def __init__(self, folder: Folder) -> None:
        self._folder, self._windows = folder, Windows(folder)
        self._lock = threading.Lock()
        self._shards: dict[str, tuple[str, dict[str, Found]]] = {}

    def read(self, key: str) -> bytes:
        """``FileNotFoundError`` where the shard or the member is gone."""
        shard, name = split(key)
        version, members = self._members(shard)
        if name not in members:
            raise FileNotFoundError(key)
        found = members[name]
        return self._windows.read(shard, version, found.offset, found.offset + found.size)

    def open(self, key: str) -> IO[bytes]:
        """In memory."""
        return io.BytesIO(self.read(key))

    def exists(self, key: str) -> bool:
        """By the headers of its shard."""
        shard, name = split(key)
        try:
            return name in self._members(shard)[1]
        except FileNotFoundError:
            return False

    def _members(self, shard: str) -> tuple[str, dict[str, Found]]:
        with self._lock:
            if shard not in self._shards:
                version = self._folder.entry(shard).version
                with self._folder.open(shard) as file:
                    _, members = found_in(file)
                while len(self._shards) >= _KEPT:
                    del self._shards[next(iter(self._shards))]
                self._shards[shard] = version, {each.name: each for each in members}
            return self._shards[shard]
