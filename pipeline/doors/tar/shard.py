"""A whole shard in its order: images, and what goes along with them."""

from __future__ import annotations

import io
import tarfile
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

COMMENT = "comment"
"""The header of the whole shard that says of what it was made; any reader of tar files passes it over."""


@dataclass(frozen=True)
class Found:
    """A regular file of a shard; the bytes are read when asked for."""

    name: str
    size: int
    offset: int


@dataclass(frozen=True)
class OpenShard:
    """A shard and what is in it."""

    file: IO[bytes]
    members: list[Found]


def found_in(file: IO[bytes]) -> tuple[str, list[Found]]:
    """The comment of a shard, and its files in order, the last of each name alone, up to where it is cut.

    ``tarfile.TarError`` for what does not begin like a shard.
    """
    members: list[Found] = []
    with tarfile.open(fileobj=file, mode="r:") as tar:
        with suppress(tarfile.TarError):
            whole = (each for each in tar if each.isreg() and not each.issparse())
            members.extend(Found(each.name, each.size, each.offset_data) for each in whole)
        comment = tar.pax_headers.get(COMMENT, "")
    last = {each.name: each for each in members}
    return comment, [each for each in members if last[each.name] is each]


class ShardWriter:
    """``add(name, size, file)``; the same members give the same bytes."""

    def __init__(self, file: IO[bytes], comment: str) -> None:
        self._tar = tarfile.open(  # noqa: SIM115 - closed by __exit__
            fileobj=file, mode="w", format=tarfile.PAX_FORMAT, pax_headers={COMMENT: comment}
        )

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._tar.close()

    def add(self, name: str, size: int, file: IO[bytes]) -> None:
        """A regular file without owner and time."""
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, 0o644
        self._tar.addfile(info, file)


class _Slice(io.RawIOBase):
    """Bytes of a file from a place on, so many as they are."""

    def __init__(self, file: IO[bytes], offset: int, size: int) -> None:
        self._file, self._left = file, size
        file.seek(offset)

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: object) -> int:
        """At most what is left."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        data = self._file.read(min(len(view), self._left))
        view[: len(data)] = data
        self._left -= len(data)
        return len(data)


def slice_of(file: IO[bytes], member: Found) -> IO[bytes]:
    """A member to read, before the file is used for anything else."""
    return io.BufferedReader(_Slice(file, member.offset, member.size))
