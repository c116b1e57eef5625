"""A folder on a disk of this machine. Without fsspec, which logs the names of files."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from typing import IO, NamedTuple

from pipeline.storage.base import LOOP, NO_FILE, UNFINISHED, Entry
from pipeline.storage.entries import Entries, Listed, in_pages
from pipeline.storage.ordering import in_order
from pipeline.storage.scratch import TEMPORARY, lock
from pipeline.storage.undecodable import escaped, located

_TRIES = 5
_TOGETHER = 1000
"""Files that a listing hands over at a time."""

Place = tuple[int, int]
"""Device and number of a folder, the same through every link."""

_AS_FOLDER_AND_FILE = "other images' keys make a folder where this is a file; write to an object store"
_REFUSALS = {
    errno.ENAMETOOLONG: "the file's name has {length} bytes, more than this disk takes; shorten the source's "
    "name, or leave output_format out where it adds an ending",
    errno.EISDIR: _AS_FOLDER_AND_FILE,
    errno.ENOTDIR: _AS_FOLDER_AND_FILE,
}
"""Keys that stores of objects take and disks do not."""


class Disk:
    """The folder at a path."""

    protocol = "file"

    def __init__(self, root: str) -> None:
        self.root = root

    def walk(self, left_out: Counter[str]) -> Iterator[Entries]:
        """Follows links, except back to a folder they are in; without what ``put`` left unfinished."""
        yield from in_pages(self._below("", (), left_out), _TOGETHER)

    def _below(self, prefix: str, above: tuple[Place, ...], left_out: Counter[str]) -> Iterator[Listed]:
        path = located(self.root, prefix) if prefix else self.root
        try:
            above, opened = (*above, _place(os.stat(path))), os.scandir(path)
        except FileNotFoundError:
            if prefix:
                return  # removed since the folder above it was listed
            raise
        with opened as listing:
            there = _Names(path)
            seen = (_seen(prefix + escaped(each.name, there), each, above) for each in listing)
            # A million files in one folder are sorted on this machine's disk.
            for each in in_order(seen, attrgetter("order")):
                if each.reason:
                    left_out[each.reason] += 1
                elif not each.is_folder:
                    yield each.key, each.size, each.version
                else:
                    try:
                        yield from self._below(f"{each.key}/", above, left_out)
                    except PermissionError:
                        unreadable = Entry.unreadable(each.key)
                        yield unreadable.key, unreadable.size, unreadable.version

    def read(self, key: str) -> bytes:
        """The whole file."""
        with self.open(key) as file:
            return file.read()

    def fetch(self, key: str, path: Path) -> None:
        """Copies the file."""
        shutil.copyfile(self.path(key), path)

    def head(self, key: str, length: int) -> bytes:
        """Its beginning."""
        with self.open(key) as file:
            return file.read(length)

    def part(self, key: str, start: int, end: int) -> bytes:
        """What is between."""
        with self.open(key) as file:
            file.seek(start)
            return file.read(max(end - start, 0))

    def open(self, key: str) -> IO[bytes]:
        """The file itself. ``OSError`` for a pipe, a socket or a device: opening one may never return."""
        path = self.path(key)
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise OSError(errno.EINVAL, "a pipe, socket or device and no file", str(path))
        return path.open("rb")

    def entry(self, key: str) -> Entry:
        """By the file's size and time."""
        return _entry(key, os.stat(self.path(key)))

    def written_at(self, key: str) -> float:
        """By the time of the file."""
        return self.path(key).stat().st_mtime

    def exists(self, key: str) -> bool:
        """Whether it is a file. No name that is longer than the disk takes is one."""
        try:
            return self.path(key).is_file()
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                return False
            raise

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
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise _refused(errno.ENOTDIR, path) from error
        try:
            self._write_beside(path, data, place)
        except OSError as error:
            if error.errno in _REFUSALS:
                raise _refused(error.errno, path) from error
            raise

    def _write_beside(self, path: Path, data: bytes | Path, place: Callable[[str, Path], None]) -> None:
        handle, temporary = _temporary_in(path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                lock(handle)
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
        """One after the other; folders that this empties go too, as in a store that has none."""
        for key in keys:
            self.delete(key)
        for parent in {key.rpartition("/")[0] for key in keys} - {""}:
            with suppress(OSError):  # not empty, or gone
                os.rmdir(self._path(parent))

    def path(self, key: str) -> Path:
        """Where a listed file is, whose name may be no UTF-8 and escaped in its key."""
        return Path(located(self.root, key))

    def _path(self, key: str) -> Path:
        return Path(self.root, key)


def _refused(number: int, path: Path) -> OSError:
    """The same error with the cure; its own text would name our temporary file."""
    return OSError(number, _REFUSALS[number].format(length=len(os.fsencode(path.name))))


def _temporary_in(folder: Path) -> tuple[int, str]:
    """An open file; once more where its folder was taken for empty and removed meanwhile."""
    for _ in range(_TRIES):
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            return tempfile.mkstemp(prefix=".restora-", suffix=".part", dir=folder)
    raise FileNotFoundError(errno.ENOENT, "removed while it was written to", str(folder))


def _link(temporary: str, path: Path) -> None:
    os.link(temporary, path)
    os.unlink(temporary)


def _status(found: os.DirEntry[str]) -> os.stat_result | OSError:
    """Of what a link leads to; or why that cannot be told."""
    try:
        return found.stat()
    except OSError as error:
        return error


class _Names(Container[str]):
    """Whether a folder holds something of a name."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def __contains__(self, name: object) -> bool:
        return os.path.lexists(os.path.join(self._folder, str(name)))


class _Seen(NamedTuple):
    """What a folder holds, by its key."""

    key: str
    is_folder: bool
    size: int
    version: str
    reason: str
    """Why it is neither a file nor a folder of files."""

    @property
    def order(self) -> str:
        """Sorts a folder where its files' keys belong."""
        return self.key + ("/" if self.is_folder else "")


def _seen(key: str, found: os.DirEntry[str], above: tuple[Place, ...]) -> _Seen:
    status = _status(found)
    reason = _no_object(found, status, above) or ""
    if isinstance(status, OSError):  # a link that leads nowhere, a file gone by now: reading tells
        return _Seen(key, False, -1, "absent", reason)
    entry = _entry(key, status)
    return _Seen(key, stat.S_ISDIR(status.st_mode), entry.size, entry.version, reason)


def _no_object(
    found: os.DirEntry[str], status: os.stat_result | OSError, above: tuple[Place, ...]
) -> str | None:
    """Why something in a folder is neither a file nor a folder of files."""
    if isinstance(status, OSError):
        return LOOP if status.errno == errno.ELOOP else None
    if stat.S_ISDIR(status.st_mode):
        return LOOP if found.is_symlink() and _place(status) in above else None
    if not stat.S_ISREG(status.st_mode):
        return NO_FILE
    return UNFINISHED if TEMPORARY.fullmatch(found.name) else None


def _place(status: os.stat_result) -> Place:
    return status.st_dev, status.st_ino


def _entry(key: str, status: os.stat_result) -> Entry:
    return Entry(key, status.st_size, f"{status.st_size}-{status.st_mtime_ns}")
