"""A folder anywhere fsspec reaches: list in pages, read, put whole objects. Nothing is ever renamed.

Credentials come from the environment or from a named profile of the store's own configuration, never
from a URL.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import urlsplit

import fsspec

from pipeline.errors import StorageError

T = TypeVar("T")

PAGE = 10_000
"""Entries handed over at a time while listing."""


@dataclass(frozen=True)
class Entry:
    """One object in a listing."""

    key: str
    """Path below the folder, with forward slashes. Ends in ``/`` for a folder that cannot be listed."""
    size: int
    """Bytes; -1 where unknown."""
    version: str
    """ETag, or size and modification time: changes whenever the content does."""


class Folder:
    """A folder in a store: ``Folder("s3://bucket/scans")``, ``Folder("../photos")``.

    Cheap to make and to pickle; connects on first use. Raises ``StorageError`` for a URL that no
    installed file system understands, or that carries a password.
    """

    def __init__(self, url: str, profile: str | None = None) -> None:
        self.url = absolute_url(url)
        self.profile = profile

    def __reduce__(self) -> tuple[type[Folder], tuple[str, str | None]]:
        return type(self), (self.url, self.profile)

    def __repr__(self) -> str:
        return f"Folder({self.url!r})"

    @cached_property
    def _store(self) -> tuple[Any, str]:
        options: dict[str, Any] = {} if self.is_local else {"use_listings_cache": False}
        if self.profile is not None:
            if urlsplit(self.url).scheme not in ("s3", "s3a"):
                raise StorageError(
                    f"{self.url}: profile {self.profile!r} is given, but only s3:// URLs have profiles; "
                    "set this store's credentials in the environment"
                )
            self._check_profile(self.profile)
            options["profile"] = self.profile
        try:
            fs, root = fsspec.core.url_to_fs(self.url, **options)
        except ImportError as error:
            scheme = urlsplit(self.url).scheme
            raise StorageError(
                f"{self.url}: {error}. Install the extra for it, for example: pip install 'restora[{scheme}]'"
            ) from error
        except ValueError as error:
            raise StorageError(f"{self.url}: {error}") from error
        return fs, root.rstrip("/")

    def _check_profile(self, profile: str) -> None:
        try:
            from botocore.session import Session
        except ImportError:
            return  # the store itself says which extra is missing
        known = Session().available_profiles
        if profile not in known:
            raise StorageError(
                f"{self.url}: no profile {profile!r} in the credentials and configuration files of this host "
                f"(AWS_SHARED_CREDENTIALS_FILE, AWS_CONFIG_FILE); there are: {', '.join(known) or 'none'}"
            )

    @property
    def is_local(self) -> bool:
        """Whether the folder lies on a disk of this machine."""
        return urlsplit(self.url).scheme in ("", "file") or self.url.startswith("/")

    @property
    def root(self) -> str:
        """The folder's path inside its store."""
        return self._store[1]

    def uri(self, key: str) -> str:
        """The full address of an object of this folder."""
        return f"{self.url}/{key}"

    def child(self, key: str) -> Folder:
        """A folder below this one."""
        return Folder(f"{self.url}/{key}", self.profile)

    def pages(self, pattern: str = "*") -> Iterator[list[Entry]]:
        """All objects below whose name or key matches, in order of key, a bounded page at a time.

        A sub-folder that cannot be listed becomes one entry whose key ends in ``/``, so that it is
        reported and not forgotten. Raises ``StorageError`` where the folder itself cannot be listed.
        """
        page: list[Entry] = []
        for entry in self._walk():
            name = entry.key.rsplit("/", 1)[-1]
            if entry.key.endswith("/") or fnmatch(name, pattern) or fnmatch(entry.key, pattern):
                page.append(entry)
            if len(page) == PAGE:
                yield page
                page = []
        if page:
            yield page

    def _walk(self) -> Iterator[Entry]:
        try:
            yield from self._local_entries("") if self.is_local else self._remote_entries(self.root)
        except (OSError, ValueError) as error:
            raise StorageError(f"cannot list {self.url}: {describe(error)}") from error
        except Exception as error:  # botocore and friends do not derive from OSError
            raise StorageError(f"cannot list {self.url}: {describe(error)}") from error

    def _local_entries(self, prefix: str) -> Iterator[Entry]:
        with os.scandir(os.path.join(self.root, prefix)) as listing:
            found = sorted(listing, key=lambda each: each.name + ("/" if each.is_dir() else ""))
        for each in found:
            key = prefix + each.name
            if each.is_dir():
                try:
                    yield from self._local_entries(key + "/")
                except PermissionError:
                    yield Entry(key + "/", -1, "unreadable")
            elif not is_temporary(each.name):
                yield _local_entry(key, each)

    def _remote_entries(self, path: str) -> Iterator[Entry]:
        fs, root = self._store
        found = sorted(fs.ls(path, detail=True), key=_place)
        for each in found:
            name = str(each["name"])
            if name.rstrip("/") == path.rstrip("/"):
                continue  # some stores list the folder's own marker object
            if each["type"] == "directory":
                try:
                    yield from self._remote_entries(name)
                except PermissionError:
                    yield Entry(name[len(root) + 1 :].rstrip("/") + "/", -1, "unreadable")
            else:
                size = each.get("size")
                yield Entry(name[len(root) + 1 :], -1 if size is None else int(size), _version(each))

    def read(self, key: str) -> bytes:
        """The whole object. Raises ``FileNotFoundError``, ``OSError`` or the store's own error."""
        fs, root = self._store
        if self.is_local:
            return Path(root, key).read_bytes()
        return bytes(_retried(lambda: fs.cat_file(f"{root}/{key}")))

    def head(self, key: str, length: int) -> bytes:
        """The first ``length`` bytes, or all there are; raises as ``read`` does."""
        fs, root = self._store
        if self.is_local:
            with Path(root, key).open("rb") as file:
                return file.read(length)
        return bytes(_retried(lambda: fs.cat_file(f"{root}/{key}", start=0, end=length)))

    def open(self, key: str) -> IO[bytes]:
        """The object as a file to read and seek in, for those too large to hold."""
        fs, root = self._store
        opened: IO[bytes] = fs.open(f"{root}/{key}", "rb")
        return opened

    def entry(self, key: str) -> Entry:
        """One object as it is now; raises as ``read`` does.

        ``version`` is that of a listing, or empty in stores without ETags: they tell times in many ways.
        """
        fs, root = self._store
        if self.is_local:
            status = os.stat(Path(root, key))
            return Entry(key, status.st_size, f"{status.st_size}-{status.st_mtime_ns}")
        found = _retried(lambda: fs.info(f"{root}/{key}"))
        size = found.get("size")
        return Entry(key, -1 if size is None else int(size), _etag(found))

    def exists(self, key: str) -> bool:
        """Whether the object is there."""
        fs, root = self._store
        if self.is_local:
            return Path(root, key).is_file()
        return bool(_retried(lambda: fs.exists(f"{root}/{key}")))

    def put(self, key: str, data: bytes) -> None:
        """Writes the whole object, all or nothing, replacing what is there.

        An object store's PUT is atomic by itself. On a disk: a temporary file in the same folder,
        fsync, then ``os.replace``, which readers see at once and whole.
        """
        fs, root = self._store
        if self.is_local:
            _put_on_disk(Path(root, key), data)
        else:
            _retried(lambda: fs.pipe_file(f"{root}/{key}", data))

    def put_file(self, key: str, path: Path) -> None:
        """As ``put``, for a file too large to hold in memory."""
        fs, root = self._store
        if self.is_local:
            _put_on_disk(Path(root, key), path)
        else:
            _retried(lambda: fs.put_file(str(path), f"{root}/{key}"))

    def delete(self, key: str) -> None:
        """Removes an object; one that is not there is no error."""
        fs, root = self._store
        if self.is_local:
            Path(root, key).unlink(missing_ok=True)
        elif self.exists(key):
            _retried(lambda: fs.rm_file(f"{root}/{key}"))

    def keys(self, prefix: str, extension: str = "") -> list[str]:
        """Keys below ``prefix`` with this ending, sorted; an absent folder has none."""
        below = self.child(prefix)
        try:
            pages = list(below.pages(f"*{extension}"))
        except StorageError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return []
            raise
        return [f"{prefix}/{entry.key}" for page in pages for entry in page]


def absolute_url(url: str) -> str:
    """The URL without a trailing slash; local paths made absolute, so that they mean one place."""
    parts = urlsplit(url)
    if parts.username or parts.password:
        raise StorageError(
            f"{parts.scheme}://...@{parts.hostname}: credentials do not belong in a URL; "
            "set them in the environment or name a profile"
        )
    if parts.scheme in ("", "file"):
        return str(Path(url.removeprefix("file://")).expanduser().resolve())
    return url.rstrip("/")


def is_temporary(name: str) -> bool:
    """Whether a file is what an interrupted ``put`` may leave behind."""
    return name.startswith(".restora-") and name.endswith(".part")


def describe(error: BaseException) -> str:
    """Type and first line of an error: enough to act on, no contents."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__


def _local_entry(key: str, found: os.DirEntry[str]) -> Entry:
    """Also for a link that leads nowhere and a file that is gone by now: reading it will say so."""
    try:
        status = found.stat()
    except FileNotFoundError:
        return Entry(key, -1, "absent")
    return Entry(key, status.st_size, f"{status.st_size}-{status.st_mtime_ns}")


def _place(details: dict[str, Any]) -> str:
    """Sorts a folder where its objects' keys belong."""
    return str(details["name"]) + ("/" if details["type"] == "directory" else "")


def _etag(details: dict[str, Any]) -> str:
    for name in ("ETag", "etag", "md5Hash", "content_md5"):
        if details.get(name):
            return str(details[name]).strip('"')
    return ""


def _version(details: dict[str, Any]) -> str:
    if etag := _etag(details):
        return etag
    modified = details.get("LastModified") or details.get("last_modified") or details.get("created") or ""
    return f"{details.get('size')}-{modified}"


def _put_on_disk(path: Path, data: bytes | Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=".restora-", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            if isinstance(data, Path):
                with data.open("rb") as source:
                    while chunk := source.read(1 << 22):
                        file.write(chunk)
            else:
                file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


_LASTING = re.compile(r"NoSuch|NotFound|Not Found|404|403|Forbidden|AccessDenied|Credential|InvalidAccessKey")


def _retried(call: Callable[[], T], attempts: int = 4) -> T:
    """Tries again after faults that may pass; not after those that cannot (absent, forbidden)."""
    for attempt in range(attempts):
        try:
            return call()
        except (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError):
            raise
        except Exception as error:
            if attempt == attempts - 1 or _LASTING.search(f"{type(error).__name__} {error}"):
                raise
            time.sleep(0.2 * 4**attempt)
    raise AssertionError("unreachable")
