"""The members of a shard, found by their headers alone."""

from __future__ import annotations

import tarfile
from collections import Counter
from collections.abc import Iterator
from typing import IO

from pipeline.doors.tar.member import Member
from pipeline.storage.base import Entry
from pipeline.storage.undecodable import escaped

LINKS = "links, folders and devices in tar files"
"""What a listing leaves out and counts."""
REPLACED = "members of tar files that a later one of the same name replaces"
LABELS = "labels and texts beside images in tar files, which go along unchanged"

_LABELS = (
    ".cls", ".cls2", ".id", ".index", ".inx", ".count", ".txt", ".text", ".transcript", ".caption", ".json",
    ".jsn", ".npy", ".npz", ".pyd", ".pickle", ".pkl", ".pth", ".ten", ".tb", ".mp", ".msg", ".cbor", ".url",
    ".bbox", ".cropped", ".info", ".csv", ".tsv", ".xml", ".yaml", ".yml", ".parquet",
)  # fmt: skip
"""Endings that WebDataset decodes to something other than an image, and those of words and tables."""


def is_label(name: str) -> bool:
    """Whether a member belongs to an image of the same sample and is none itself."""
    return name.lower().endswith(_LABELS)


def plain_name(name: str) -> str:
    """A member's name without the ``./`` that many programs begin it with."""
    return "/".join(each for each in name.split("/") if each != ".")


def read_index(shard: Entry, file: IO[bytes], left_out: Counter[str]) -> list[Member]:
    """Every image of a shard, in its order; the last is the shard itself where it ends too early.

    ``file``: the shard, of which only the headers are read.
    """
    found: dict[str, Member] = {}
    fault = ""
    try:
        for info in _headers(file):
            if not info.isreg() or info.issparse():
                left_out[LINKS] += 1
            elif is_label(info.name):
                left_out[LABELS] += 1
            else:
                name = plain_name(info.name)
                if found.pop(name, None) is not None:
                    left_out[REPLACED] += 1
                where = info.offset_data, info.size, _cut(info, shard)
                found[name] = Member(shard.key, shard.version, escaped(name, found), *where)
    except (tarfile.TarError, ValueError, EOFError) as error:
        fault = (
            f"no tar file, or one that is cut or damaged: {type(error).__name__} after {len(found)} images"
        )
    members = list(found.values())
    if fault and not any(each.fault for each in members):
        members.append(Member(shard.key, shard.version, "", 0, shard.size, fault))
    return members


def _cut(info: tarfile.TarInfo, shard: Entry) -> str:
    ends = info.offset_data + info.size
    return f"the shard ends at byte {shard.size}, this member at {ends}" if 0 <= shard.size < ends else ""


def _headers(file: IO[bytes]) -> Iterator[tarfile.TarInfo]:
    """``tarfile.TarError`` where what follows a member is neither another one nor the end."""
    with tarfile.open(fileobj=file, mode="r:", errorlevel=2) as tar:
        while (info := tar.next()) is not None:
            yield info
            tar.members = []  # type: ignore[attr-defined]  # it keeps all that it has seen
        _check_end(file, tar.offset)


def _check_end(file: IO[bytes], offset: int) -> None:
    """``tarfile`` stops at a header that is cut, and says nothing."""
    file.seek(offset)
    rest = file.read(tarfile.BLOCKSIZE)
    if rest.strip(b"\0"):
        raise tarfile.ReadError("a header that is none")
