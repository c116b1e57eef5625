"""A folder in a store that fsspec reaches: S3, GCS, Azure and what else is installed.

Credentials come from the environment or from a named profile of the store's own configuration, never
from a URL. A PUT of an object is atomic by itself.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from glob import has_magic
from inspect import signature
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import urlsplit

import fsspec

from pipeline.errors import StorageError
from pipeline.storage.base import Entry
from pipeline.storage.details import Level, etag_of, size_of
from pipeline.storage.entries import Entries
from pipeline.storage.retrying import (
    CONTACT_SECONDS,
    REQUEST_SECONDS,
    Unanswered,
    is_lasting,
    seconds_of,
)
from pipeline.storage.server import Server

T = TypeVar("T")

_SERVERS: defaultdict[tuple[str, ...], Server] = defaultdict(Server)
"""What this process knows of web servers, and of the buckets of stores."""
_ENDPOINT = "AWS_ENDPOINT_URL"
_EXISTS = re.compile(r"PreconditionFailed|ConditionalRequestConflict|412|At least one of the pre-conditions")
_NO_CONDITIONS = re.compile(r"NotImplemented|501|not implemented|UnsupportedHeader")


class Remote:
    """The folder at a URL. Raises ``StorageError`` where nothing installed understands it."""

    def __init__(self, url: str, profile: str | None = None) -> None:
        options: dict[str, Any] = {"use_listings_cache": False}
        if profile is not None:
            _check_profile(url, profile)
            options["profile"] = profile
        try:
            self._fs, root = self._connected(url, options)
        except ImportError as error:
            scheme = urlsplit(url).scheme
            raise StorageError(
                f"{url}: {error}. Install the extra for it, for example: pip install 'restora[{scheme}]'"
            ) from error
        except ValueError as error:
            raise StorageError(f"{url}: {error}; give a path, or a URL such as s3://bucket/folder") from error
        self.root = root.rstrip("/")
        self.protocol = _protocol(self._fs)
        self._answered = False
        self._server = _SERVERS[
            _protocol(self._fs), urlsplit(url).netloc, profile or "", os.environ.get(_ENDPOINT, "")
        ]
        # s3fs asks for the size first, unless it is told not to read in parallel.
        reads = signature(getattr(self._fs, "_cat_file", self._fs.cat_file)).parameters
        self._in_one_request = {"max_concurrency": 1} if "max_concurrency" in reads else {}

    def _connected(self, url: str, options: dict[str, Any]) -> tuple[Any, str]:
        """The file system, and the folder's path in it."""
        found: tuple[Any, str] = fsspec.core.url_to_fs(url, **options)
        return found

    def _tried(self, call: Callable[[], T]) -> T:
        """With the budget of the first contact until the store has answered, then with that of a request."""
        budget = seconds_of(REQUEST_SECONDS if self._answered else CONTACT_SECONDS)
        try:
            result = self._server.tried(call, budget)
        except Exception as error:
            self._answered |= is_lasting(error) and not isinstance(error, Unanswered)
            raise
        self._answered = True
        return result

    def walk(self, left_out: Counter[str]) -> Iterator[Entries]:
        """A level of the store at a time."""
        yield from self._below(self.root)

    def _below(self, path: str) -> Iterator[Entries]:
        try:
            found = self._tried(lambda: self._fs.ls(path, detail=True))
        except FileNotFoundError:
            if path != self.root:
                return  # removed since the folder above it was listed
            raise
        level = Level(found, path.rstrip("/"))
        start, below = 0, len(self.root) + 1
        for place in level.folders:
            yield level.entries(start, place, below)
            start = place + 1
            name = level.names[place]
            try:
                yield from self._below(name)
            except PermissionError:
                yield Entries.of([Entry.unreadable(self._key(name))])
        yield level.entries(start, None, below)

    def read(self, key: str) -> bytes:
        """The whole object, in one request."""
        return bytes(self._tried(lambda: self._fs.cat_file(self._path(key), **self._in_one_request)))

    def fetch(self, key: str, path: Path) -> None:
        """Piece by piece, never whole in memory."""
        self._tried(lambda: self._fs.get_file(self._path(key), str(path)))

    def head(self, key: str, length: int) -> bytes:
        """One ranged request."""
        return bytes(self._tried(lambda: self._fs.cat_file(self._path(key), start=0, end=length)))

    def part(self, key: str, start: int, end: int) -> bytes:
        """One ranged request; none for nothing."""
        if end <= start:
            return b""
        return bytes(self._tried(lambda: self._fs.cat_file(self._path(key), start=start, end=end)))

    def open(self, key: str) -> IO[bytes]:
        """A file that reads ahead as fsspec does."""
        opened: IO[bytes] = self._tried(lambda: self._fs.open(self._path(key), "rb"))
        return opened

    def entry(self, key: str) -> Entry:
        """Without a version in stores that have no ETags: they tell times in many ways."""
        found = self._tried(lambda: self._fs.info(self._path(key)))
        return Entry(key, size_of(found), etag_of(found))

    def exists(self, key: str) -> bool:
        """Whether the object is there."""
        return bool(self._tried(lambda: self._fs.exists(self._path(key))))

    def put(self, key: str, data: bytes | Path) -> None:
        """One object, in parts where it is large."""
        if isinstance(data, Path):
            self._tried(lambda: self._fs.put_file(str(data), self._path(key)))
        else:
            self._tried(lambda: self._fs.pipe_file(self._path(key), data))

    def create(self, key: str, data: bytes) -> bool:
        """A conditional PUT where the store has one (``If-None-Match: *`` on S3)."""
        try:
            self._tried(lambda: self._fs.pipe_file(self._path(key), data, mode="create"))
        except FileExistsError:
            return False
        except Exception as error:
            text = f"{type(error).__name__} {error}"
            if _EXISTS.search(text):
                return False
            if not _NO_CONDITIONS.search(text):
                raise
            if self.exists(key):  # a store without conditions: looked at first, and no more can be had
                return False
            self.put(key, data)
        return True

    def delete(self, key: str) -> None:
        """Without looking first."""
        with suppress(FileNotFoundError):
            self._tried(lambda: self._fs.rm_file(self._path(key)))

    def delete_all(self, keys: Sequence[str]) -> None:
        """In bulk, where the store can; one by one what fsspec would take for a pattern of others."""
        paths = [self._path(key) for key in keys if not has_magic(self._path(key))]
        if paths:
            self._tried(lambda: self._fs.rm(paths))
        for key in keys:
            if has_magic(self._path(key)):
                self.delete(key)

    def _path(self, key: str) -> str:
        return f"{self.root}/{key}"

    def _key(self, name: str) -> str:
        return name[len(self.root) + 1 :]


def _protocol(fs: Any) -> str:
    """Below caches and chains, the first of the names that the store answers to."""
    while (inner := getattr(fs, "fs", None)) is not None:
        fs = inner
    names = fs.protocol if isinstance(fs.protocol, tuple | list) else (fs.protocol,)
    return "file" if set(names) & {"file", "local"} else str(sorted(names)[0])


def _check_profile(url: str, profile: str) -> None:
    if urlsplit(url).scheme not in ("s3", "s3a"):
        raise StorageError(
            f"{url}: profile {profile!r} is given, but only s3:// URLs have profiles; "
            "set this store's credentials in the environment"
        )
    try:
        from botocore.session import Session
    except ImportError:
        return  # the store itself says which extra is missing
    known = Session().available_profiles
    if profile not in known:
        raise StorageError(
            f"{url}: no profile {profile!r} in the credentials and configuration files of this host "
            f"(AWS_SHARED_CREDENTIALS_FILE, AWS_CONFIG_FILE); there are: {', '.join(known) or 'none'}"
        )
