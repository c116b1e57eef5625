"""A folder on a disk of this machine. Without fsspec, which logs the names of files."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from pipeline.storage.base import Entry


class Disk:
    """The folder at a path."""

    protocol = "file"

    def __init__(self, root: str) -> None:
        self.root = root

    def walk(self) -> Iterator[Entry]:
        """Without what an interrupted ``put`` left behind."""
        yield from self._below("")

    def _below(self, prefix: str) -> Iterator[Entry]:
        with os.scandir(os.path.join(self.root, prefix)) as listing:
            found = sorted(listing, key=lambda each: each.name + ("/" if each.is_dir() else ""))
        for each in found:
            key = prefix + each.name
            if each.is_dir():
                try:
                    yield from self._below(f"{key}/")
                except PermissionError:
                    yield Entry.unreadable(key)
            elif not _is_temporary(each.name):
                yield _listed(key, each)

    def read(self, key: str) -> bytes:
        """The whole file."""
        return self._path(key).read_bytes()

    def head(self, key: str, length: int) -> bytes:
        """Its beginning."""
        with self.open(key) as file:
            return file.read(length)

    def open(self, key: str) -> IO[bytes]:
        """The file itself."""
        return self._path(key).open("rb")

    def entry(self, key: str) -> Entry:
        """By the file's size and time."""
        return _entry(key, os.stat(self._path(key)))

    def exists(self, key: str) -> bool:
        """Whether it is a file."""
        return self._path(key).is_file()

    def put(self, key: str, data: bytes | Path) -> None:
        """A temporary file in the same folder, fsync, then ``os.replace``: seen at once and whole."""
        self._write(key, data, os.replace)

    def create(self, key: str, data: bytes) -> bool:
        """As ``put``, but by a link to the temporary file: of two at once, one is told that it is there."""
        try:
            self._write(key, data, _link)
        except FileExistsError:
            return False
        return True

    def _write(self, key: str, data: bytes | Path, place: Callable[[str, Path], None]) -> None:
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".restora-", suffix=".part", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                if isinstance(data, Path):
                    with data.open("rb") as source:
                        shutil.copyfileobj(source, file, 1 << 22)
                else:
                    file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)
            place(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def delete(self, key: str) -> None:
        """Unlinks the file."""
        self._path(key).unlink(missing_ok=True)

    def delete_all(self, keys: Sequence[str]) -> None:
        """One after the other."""
        for key in keys:
            self.delete(key)

    def _path(self, key: str) -> Path:
        return Path(self.root, key)


def _link(temporary: str, path: Path) -> None:
    os.link(temporary, path)
    os.unlink(temporary)


def _is_temporary(name: str) -> bool:
    return name.startswith(".restora-") and name.endswith(".part")


def _listed(key: str, found: os.DirEntry[str]) -> Entry:
    """Also for a link that leads nowhere and a file that is gone by now: reading it will say so."""
    try:
        return _entry(key, found.stat())
    except FileNotFoundError:
        return Entry(key, -1, "absent")


def _entry(key: str, status: os.stat_result) -> Entry:
    return Entry(key, status.st_size, f"{status.st_size}-{status.st_mtime_ns}")
