"""S3, by the very keys of its objects: with doubled, leading and trailing slashes, and ``?versionId=``.

fsspec takes a bucket for a tree of folders: it tidies paths, and what is at an untidy one is neither listed
nor read. Here the store's own flat listing is the listing, and a key is what it says.
"""

from __future__ import annotations

import asyncio
import io
import re
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from operator import itemgetter
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import fsspec.asyn
from s3fs import S3FileSystem

from pipeline.hashing import sha256_hex, sha256_of
from pipeline.storage.base import CONNECTIONS, MARKER, Entry
from pipeline.storage.details import etag_of
from pipeline.storage.entries import Entries, Listed, in_pages
from pipeline.storage.ordering import in_order
from pipeline.storage.ranged import RangedFile
from pipeline.storage.remote import Remote
from pipeline.storage.retrying import silence_seconds, transfer_seconds
from pipeline.storage.s3_listing import list_pages, list_prefix
from pipeline.storage.store import Kept

_READ_AHEAD = 4 << 20
PAGE = 1000
"""Keys that one request lists or removes: as many as S3 takes."""
_IN_ONE_PUT = 64 << 20
"""Bytes: s3fs puts larger ones in parts, of which S3 keeps no SHA-256 of the whole."""
_LONGEST_KEY = 1024
"""Bytes."""
_BAD_REQUEST = re.compile("400|Bad Request|KeyTooLong")
_UNORDERED = "--x-s3"
"""Ends the names of directory buckets, whose listings have no order."""
_MARKER_ENDINGS = ("/", "_$folder$")
"""How programs that know only folders name the empty objects that stand for them."""


class ExactS3(S3FileSystem):  # type: ignore[misc]
    """s3fs with keys as they are, and without retries of its own."""

    retries = 1

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(each) for each in path]
        text = str(path)
        return next((text[len(p) + 3 :] for p in cls.protocol if text.startswith(f"{p}://")), text)

    def split_path(self, path: str) -> tuple[str, str, str | None]:
        """Bucket and key; never a version, for a question mark is a part of a key."""
        path = self._strip_protocol(path)
        if "/" not in path:
            return path, "", None
        bucket, key = self._find_bucket_key(path)
        return bucket, key, None

    async def get_object(self, path: str, start: int | None, end: int | None) -> tuple[bytes, int]:
        """Bytes of an object, and how many it has."""
        bucket, key, _ = self.split_path(path)
        ranged = {} if start is None else {"Range": f"bytes={start}-{'' if end is None else end - 1}"}
        answer = await self._call_s3("get_object", Bucket=bucket, Key=key, **ranged)
        length = int(answer["ContentLength"])
        async with answer["Body"] as body:
            data = await asyncio.wait_for(body.read(), transfer_seconds(length))
        if len(data) != length:
            raise ConnectionError(f"{len(data)} of {length} bytes came")
        whole = str(answer.get("ContentRange", "")).rpartition("/")[2]
        return data, int(whole) if whole.isdigit() else length


class S3(Remote):
    """The folder at an ``s3://`` URL."""

    def _connected(self, url: str, options: dict[str, Any]) -> tuple[Any, str]:
        silence = silence_seconds()
        config = {
            "retries": {"total_max_attempts": 1},
            "connect_timeout": min(5.0, silence),
            "read_timeout": silence,
            "max_pool_connections": CONNECTIONS,  # of its own accord it makes ten
        }
        path = urlsplit(url).scheme + "://"
        return ExactS3(config_kwargs=config, **options), url.removeprefix(path)

    def walk(self, left_out: Counter[str]) -> Iterator[Entries]:
        """The store's flat listing; ``FileNotFoundError`` for a prefix of nothing."""
        bucket, prefix, _ = self._fs.split_path(f"{self.root}/")
        found = not prefix
        for page in in_pages(self._listed(bucket, prefix), PAGE):
            found, keys = True, [key.removeprefix(prefix) for key in page.keys]
            objects = [not _is_marker(key, size) for key, size in zip(keys, page.sizes, strict=True)]
            if markers := objects.count(False):
                left_out[MARKER] += markers
            yield Entries(keys, page.sizes, page.versions).chosen(objects)
        if not found:
            raise FileNotFoundError(self.root)

    def _listed(self, bucket: str, prefix: str) -> Iterator[Listed]:
        def ask(**request: Any) -> dict[str, Any]:
            listing = partial(self._fs.call_s3, "list_objects_v2", Bucket=bucket, MaxKeys=PAGE, **request)
            answer: dict[str, Any] = self._tried(listing)
            return answer

        if bucket.endswith(_UNORDERED):
            return in_order(list_pages(ask, prefix), itemgetter(0))
        return list_prefix(ask, prefix)

    def read(self, key: str) -> bytes:
        """One request, whatever the size."""
        return self._get(key)[0]

    def head(self, key: str, length: int) -> bytes:
        """One ranged request; an empty object has no range."""
        try:
            return self._get(key, 0, length)[0]
        except Exception as error:
            if "InvalidRange" in str(error) or "416" in str(error) or "not satisfiable" in str(error):
                return b""
            raise

    def open(self, key: str) -> IO[bytes]:
        """A file whose every read is a ranged request, tried again as any other."""
        return io.BufferedReader(RangedFile(partial(self.part, key), self.entry(key).size), _READ_AHEAD)

    def entry(self, key: str) -> Entry:
        """By one HEAD."""
        found = self._tried(lambda: self._head(key))
        return Entry(key, int(found["ContentLength"]), etag_of(found))

    def exists(self, key: str) -> bool:
        """By one HEAD; S3 calls it a bad request to ask for a longer key than it takes."""
        try:
            self.entry(key)
        except FileNotFoundError:
            return False
        except OSError as error:
            if self._is_too_long(key) and _BAD_REQUEST.search(str(error)):
                return False
            raise
        return True

    def _is_too_long(self, key: str) -> bool:
        _, name, _ = self._fs.split_path(self._path(key))
        return len(name.encode()) > _LONGEST_KEY

    def put(self, key: str, data: bytes | Path) -> None:
        """With its SHA-256, by which S3 checks what came, and which it keeps; in parts where it is large."""
        told = _checksum(data) if self._tells_checksum(data) else {}
        if isinstance(data, Path):
            self._tried(lambda: self._fs.put_file(str(data), self._path(key), **told))
        else:
            self._tried(lambda: self._fs.pipe_file(self._path(key), data, **told))

    def _tells_checksum(self, data: bytes | Path) -> bool:
        size = data.stat().st_size if isinstance(data, Path) else len(data)
        return size <= _IN_ONE_PUT and self._takes_checksums

    @cached_property
    def _takes_checksums(self) -> bool:
        """Unless the configuration says that this store knows none."""
        return str(self._fs.s3.meta.config.request_checksum_calculation) != "when_required"

    def kept(self, key: str) -> Kept | None:
        """By one HEAD; of an object that was put in parts S3 keeps another checksum, of theirs."""
        found = self._tried(lambda: self._head(key, ChecksumMode="ENABLED"))
        told = str(found.get("ChecksumSHA256") or "-")
        return None if "-" in told else Kept(b64decode(told).hex(), int(found["ContentLength"]))

    def written_at(self, key: str) -> float:
        """By one HEAD; whole seconds."""
        return float(self._tried(lambda: self._head(key))["LastModified"].timestamp())

    def delete(self, key: str) -> None:
        """S3 has nothing against one that is not there."""
        self._tried(lambda: self._fs.rm_file(self._path(key)))

    def delete_all(self, keys: Sequence[str]) -> None:
        """A thousand in a request, as S3 takes them."""
        for start in range(0, len(keys), PAGE):
            paths = [self._path(key) for key in keys[start : start + PAGE]]
            self._tried(lambda: fsspec.asyn.sync(self._fs.loop, self._fs._bulk_delete, paths))  # noqa: B023

    def part(self, key: str, start: int, end: int) -> bytes:
        """One ranged request; none for nothing."""
        return self._get(key, start, end)[0] if end > start else b""

    def _get(self, key: str, start: int | None = None, end: int | None = None) -> tuple[bytes, int]:
        path = self._path(key)
        got: tuple[bytes, int] = self._tried(
            lambda: fsspec.asyn.sync(self._fs.loop, self._fs.get_object, path, start, end)
        )
        return got

    def _head(self, key: str, **more: str) -> Any:
        bucket, name, _ = self._fs.split_path(self._path(key))
        return self._fs.call_s3("head_object", Bucket=bucket, Key=name, **more)


def _is_marker(key: str, size: int) -> bool:
    return size == 0 and (key == "" or key.endswith(_MARKER_ENDINGS))


def _checksum(data: bytes | Path) -> dict[str, str]:
    if isinstance(data, bytes):
        digest = sha256_hex(data)
    else:
        with data.open("rb") as file:
            digest, _ = sha256_of(file)
    return {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": b64encode(bytes.fromhex(digest)).decode()}
