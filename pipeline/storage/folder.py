"""A folder anywhere fsspec reaches: list in pages, read, put whole objects. Nothing is ever renamed.

Credentials come from the environment or from a named profile of the store's own configuration, never
from a URL. The client of S3 is imported late, for start-up: a run on a disk needs none.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from pipeline.addresses import credentials_in, has_secret, redacted
from pipeline.errors import FolderNotFound, StorageError, describe
from pipeline.storage.base import Entry
from pipeline.storage.disk import Disk
from pipeline.storage.entries import Entries, as_pages, of_length
from pipeline.storage.ordering import each_key_once
from pipeline.storage.patterns import matcher, only_key
from pipeline.storage.store import KeepsChecksums, Kept, Store, TellsTimes
from pipeline.storage.stores import connect, scheme_of

_SKEWED = re.compile("RequestTimeTooSkewed|between the request time and the current time")
PAGE = 10_000
"""Entries handed over at a time while listing."""


class Folder:
    """A folder in a store: ``Folder("s3://bucket/scans")``, ``Folder("../photos")``.

    Cheap to make and to pickle; connects on first use. Raises ``StorageError`` for a URL that no
    installed file system understands, or that carries a password.
    """

    def __init__(self, url: str, profile: str | None = None) -> None:
        self.url = absolute_url(url)
        self.profile = profile
        if has_secret(self.url) and not self.is_local:
            raise StorageError(
                f"{redacted(self.url)}: a signed address is of one object for a while, and no folder; "
                "set credentials in the environment or name a profile"
            )

    def __reduce__(self) -> tuple[type[Folder], tuple[str, str | None]]:
        return type(self), (self.url, self.profile)

    def __repr__(self) -> str:
        return f"Folder({self.url!r})"

    @cached_property
    def _store(self) -> Store:
        return connect(self.url, self.profile)

    @property
    def is_local(self) -> bool:
        """Whether the folder is on a disk of this machine."""
        return scheme_of(self.url) == "file"

    @property
    def root(self) -> str:
        """The folder's path inside its store."""
        return self._store.root

    def store_path(self) -> tuple[str, str]:
        """The store's one name, whatever alias the URL has, and the folder's path in it."""
        return self._store.protocol, self._store.root

    def uri(self, key: str) -> str:
        """The full address of an object of this folder."""
        return f"{self.url}/{key}"

    def child(self, key: str) -> Folder:
        """A folder below this one."""
        return Folder(f"{self.url}/{key}", self.profile)

    def pages(self, pattern: str = "*", left_out: Counter[str] | None = None) -> Iterator[Entries]:
        """All objects below that the pattern means (``pipeline.storage.patterns``), in order of key, a
        bounded page at a time.

        A sub-folder that cannot be listed becomes one entry whose key ends in ``/``, so that it is
        reported and not forgotten. What is no object (pipes, loops of links, markers of folders) is counted
        in ``left_out`` by reason. Raises ``StorageError`` where the folder itself cannot be listed.
        """
        key, matches, takes_all = only_key(pattern), matcher(pattern), pattern == "*"
        counts: Counter[str] = Counter() if left_out is None else left_out
        pages = self._walk(counts) if key is None else self._alone(key)
        if not takes_all:
            pages = (_matching(page, matches) for page in pages)
        yield from of_length(pages, PAGE)

    def _alone(self, key: str) -> Iterator[Entries]:
        """One object, without a look at all the others."""
        if self.exists(key):
            yield Entries.of([self.entry(key)])

    def _walk(self, left_out: Counter[str]) -> Iterator[Entries]:
        try:
            yield from each_key_once(as_pages(self._store.walk(left_out), PAGE), self.url)
        except StorageError:
            raise
        except Exception as error:  # botocore and friends do not derive from OSError
            missing = isinstance(error, FileNotFoundError | NotADirectoryError)
            kind = FolderNotFound if missing else StorageError
            raise kind(f"cannot list {self.url}: {_explained(error)}") from error

    def read(self, key: str) -> bytes:
        """The whole object. Raises ``FileNotFoundError``, ``OSError`` or the store's own error."""
        return self._store.read(key)

    def fetch(self, key: str, path: Path) -> None:
        """Copies the whole object to a file of this machine; raises as ``read`` does."""
        self._store.fetch(key, path)

    def head(self, key: str, length: int) -> bytes:
        """The first ``length`` bytes, or all there are; raises as ``read`` does."""
        return self._store.head(key, length)

    def part(self, key: str, start: int, end: int) -> bytes:
        """Bytes from ``start`` up to ``end``, or as many as there are; raises as ``read`` does."""
        return self._store.part(key, start, end)

    def open(self, key: str) -> IO[bytes]:
        """The object as a file to read and seek in, for those too large to hold."""
        return self._store.open(key)

    def place(self, key: str) -> tuple[Folder, str] | None:
        """Itself: see ``pipeline.doors.archive.Archive``."""
        return self, key

    def entry(self, key: str) -> Entry:
        """One object as it is now; raises as ``read`` does.

        ``version`` is that of a listing, or empty in stores without ETags.
        """
        return self._store.entry(key)

    def kept(self, key: str) -> Kept | None:
        """The SHA-256 and size that the store keeps of an object, where it has some; raises as ``entry``."""
        return self._store.kept(key) if isinstance(self._store, KeepsChecksums) else None

    def written_at(self, key: str) -> float | None:
        """When an object was written, in seconds by the store's own clock; ``None`` where it does not tell.
        Raises as ``entry``."""
        return self._store.written_at(key) if isinstance(self._store, TellsTimes) else None

    def local_path(self, key: str) -> Path:
        """Where a listed object of a local folder is, for what opens files by their paths."""
        return self._store.path(key) if isinstance(self._store, Disk) else Path(self.root, key)

    def exists(self, key: str) -> bool:
        """Whether the object is there. ``StorageError`` where the store does not answer."""
        try:
            return self._store.exists(key)
        except StorageError:
            raise
        except Exception as error:  # botocore and friends do not derive from OSError
            raise StorageError(f"cannot reach {self.url}: {_explained(error)}") from error

    def put(self, key: str, data: bytes) -> None:
        """Writes the whole object, all or nothing, replacing what is there: readers see it at once."""
        self._store.put(key, data)

    def create(self, key: str, data: bytes) -> bool:
        """Writes a small object unless there is one; whether it did. Of two at once, one writes.

        Stores without create-only PUTs may let both believe that they did: read back what matters.
        """
        return self._store.create(key, data)

    def put_file(self, key: str, path: Path) -> None:
        """As ``put``, for a file too large to hold in memory."""
        self._store.put(key, path)

    def delete(self, key: str) -> None:
        """Removes an object; one that is not there is no error."""
        self._store.delete(key)

    def delete_all(self, keys: Sequence[str]) -> None:
        """As ``delete`` for each, in as few requests as the store can."""
        self._store.delete_all(keys)

    def keys(self, prefix: str, extension: str = "") -> list[str]:
        """Keys below ``prefix`` with this ending, sorted; an absent folder has none."""
        below = self.child(prefix)
        try:
            pages = list(below.pages(f"*{extension}"))
        except StorageError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return []
            raise
        return [f"{prefix}/{key}" for page in pages for key in page.keys]


def _matching(page: Entries, matches: Callable[[str], bool]) -> Entries:
    """What could not be listed is never left out."""
    mask = [matches(key) for key in page.keys]
    if any(key.endswith("/") for key in page.keys):
        mask = [each or entry.is_unreadable for each, entry in zip(mask, page, strict=True)]
    return page.chosen(mask)


def _explained(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such folder; check the address"
    if isinstance(error, NotADirectoryError):
        return "a file and no folder; give its folder, and its name as the pattern"
    if _SKEWED.search(f"{error} {error.__cause__}"):
        return (
            "the clock of this machine and that of the store differ by more than the store takes; set this "
            "one by a time server (timedatectl set-ntp true)"
        )
    return f"{describe(error)}; check the address, and the credentials in the environment or the profile"


def absolute_url(url: str) -> str:
    """The URL without a trailing slash; local paths made absolute, so that they mean one place."""
    parts = urlsplit(url)
    if (scheme := credentials_in(url)) is not None:
        raise StorageError(
            f"{scheme}://...: credentials do not belong in a URL; "
            "set them in the environment or name a profile"
        )
    if any("\ud800" <= each <= "\udfff" for each in url):
        raise StorageError(f"{url!a}: the folder's name is no UTF-8; give a link to it that has another name")
    if parts.scheme in ("", "file"):
        return str(Path(url.removeprefix("file://")).expanduser().resolve())
    return url.rstrip("/")
