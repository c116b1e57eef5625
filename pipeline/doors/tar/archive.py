"""Tar shards: every image a member, read by its place in the shard."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import islice
from typing import IO

from pipeline.doors.tar.index import read_index
from pipeline.doors.tar.member import Member
from pipeline.doors.tar.shard import OpenShard, found_in
from pipeline.doors.tar.windows import Windows
from pipeline.errors import ImageError, JobError
from pipeline.jobs.datasets import Dataset
from pipeline.storage import folder as storage
from pipeline.storage.base import Entry
from pipeline.storage.folder import Folder
from pipeline.storage.patterns import matcher
from pipeline.storage.ranged import RangedFile

NO_SHARDS = "objects beside tar shards"
"""What a listing leaves out and counts."""
COMPRESSED = "compressed tar files, whose members cannot be read by their place; decompress them"

_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
_DICOM = (".dcm", ".dicom", ".ima")
_READERS = 8
"""Shards whose headers are read at a time."""


class TarArchive:
    """The shards below an address, or the one that it is."""

    def __init__(self, folder: Folder, shards: str = "*", check: Dataset | None = None) -> None:
        self._folder, self._shards, self._dataset = folder, shards, check
        self._windows = Windows(folder)

    @property
    def url(self) -> str:
        """Of the folder that the shards are in."""
        return self._folder.url

    def pages(self, pattern: str = "*", left_out: Counter[str] | None = None) -> Iterator[list[Entry]]:
        """Members whose name, or shard and name, the pattern means; a shard is in memory at a time."""
        counts: Counter[str] = Counter() if left_out is None else left_out
        matches = matcher(pattern)
        entries = (entry for shard in self._indexed(counts) for entry in shard if matches(entry.key))
        while page := list(islice(entries, storage.PAGE)):
            yield page

    def _indexed(self, left_out: Counter[str]) -> Iterator[list[Entry]]:
        shards = self._listed(left_out)
        with ThreadPoolExecutor(_READERS) as pool:
            while some := list(islice(shards, _READERS)):
                for found, counts in pool.map(self._index, some):
                    left_out.update(counts)
                    yield found

    def _listed(self, left_out: Counter[str]) -> Iterator[Entry]:
        for page in self._folder.pages(self._shards, left_out):
            for entry in page:
                name = entry.key.lower()
                if entry.is_unreadable or name.endswith(".tar"):
                    yield entry
                else:
                    left_out[COMPRESSED if name.endswith(_COMPRESSED) else NO_SHARDS] += 1

    def _index(self, shard: Entry) -> tuple[list[Entry], Counter[str]]:
        left_out: Counter[str] = Counter()
        if shard.is_unreadable:
            return [shard], left_out
        try:
            with self._folder.open(shard.key) as file:
                members = read_index(shard, file, left_out)
        except (FileNotFoundError, PermissionError) as error:
            members = [Member(shard.key, shard.version, "", 0, -1, type(error).__name__)]
        for each in members:
            self._refuse_series(each)
        return [each.entry() for each in members], left_out

    def _refuse_series(self, member: Member) -> None:
        dataset = self._dataset
        if dataset is None or dataset.private is None or dataset.series == "single":
            return
        if member.name.lower().endswith(_DICOM):
            raise JobError(
                f'dataset "{dataset.name}": holds DICOM images in tar shards, where nobody looks for series; '
                'write series = "single", or unpack them'
            )

    def opened(self, member: Member, stack: ExitStack) -> OpenShard:
        """The shard of a member, with all that is in it. ``ImageError`` with ``CHANGED`` as ``read``."""
        size = self._folder.entry(member.shard).size
        raw = RangedFile(partial(self._windows.read, member.shard, member.version), size)
        file = stack.enter_context(io.BufferedReader(raw, 1 << 16))
        return OpenShard(file, [each for each in found_in(file)[1] if each.offset + each.size <= size])

    def uri(self, at: str) -> str:
        """Shard and member."""
        return self._folder.uri(Member.of(at).key)

    def read(self, at: str) -> bytes:
        """A ranged read, shared with its neighbours."""
        return self._read(at, None)

    def head(self, at: str, length: int) -> bytes:
        """The same, of its beginning."""
        return self._read(at, length)

    def _read(self, at: str, length: int | None) -> bytes:
        member = Member.of(at)
        if member.fault:
            raise ImageError("TRUNCATED" if member.size >= 0 else "READ_FAILED", member.fault)
        size = member.size if length is None else min(length, member.size)
        return self._windows.read(member.shard, member.version, member.offset, member.offset + size)

    def open(self, at: str) -> IO[bytes]:
        """In memory: a shard's members are small."""
        return io.BytesIO(self.read(at))

    def place(self, at: str) -> tuple[Folder, str] | None:
        """A member is no object of its own."""
        return None

    def entry(self, at: str) -> Entry:
        """With the version that its shard has now."""
        member = Member.of(at)
        now = self._folder.entry(member.shard)
        current = Member(member.shard, now.version, member.name, member.offset, member.size, member.fault)
        return current.entry() if now.version else Entry(member.key, member.size, "", at=at)
