"""What a shard of results holds: new results, earlier ones of the same input, and the labels beside them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pipeline.doors.tar.index import is_label, plain_name
from pipeline.doors.tar.shard import Found, OpenShard, found_in, slice_of
from pipeline.storage.folder import Folder
from pipeline.storage.keys import safe_key


@dataclass(frozen=True)
class Made:
    """A result that waits."""

    name: str
    """Of the member that it becomes."""
    path: Path


Part = tuple[str, int, IO[bytes]]
"""Name, size and content of a member."""


def opened_before(folder: Folder, key: str, comment: str, stack: ExitStack) -> OpenShard:
    """The shard of results that is there, if it is of the same input; else one without members."""
    nothing = OpenShard(io.BytesIO(), [])
    if not folder.exists(key):
        return nothing
    file = stack.enter_context(folder.open(key))
    try:
        found, members = found_in(file)
    except tarfile.TarError:  # damaged: repair brings what was in it
        return nothing
    return OpenShard(file, members) if found == comment else nothing


def parts(shard: OpenShard, before: OpenShard, made: dict[int, Made], *, with_labels: bool) -> Iterator[Part]:
    """The members of the new shard in the order of the input's, so that samples stay together.

    ``made``: by the place of its source in the input's shard.
    """
    new = {each.name for each in made.values()}
    earlier = {each.name: each for each in before.members if each.name not in new}
    by_stem = {stem: name for name in reversed(earlier) for stem in _stems(name)} | {n: n for n in earlier}
    waiting = dict(made)
    for member in shard.members:
        name = safe_key(plain_name(member.name))
        if member.offset in waiting:
            yield from _made(waiting.pop(member.offset))
        elif is_label(member.name):
            earlier.pop(name, None)
            if with_labels:
                yield name, member.size, slice_of(shard.file, member)
        elif (found := earlier.pop(by_stem.get(name, ""), None)) is not None:
            yield _again(before, found)
    for each in waiting.values():
        yield from _made(each)
    for found in earlier.values():
        yield _again(before, found)


def _made(made: Made) -> Iterator[Part]:
    with made.path.open("rb") as file:
        yield made.name, made.path.stat().st_size, file


def _again(before: OpenShard, found: Found) -> Part:
    return found.name, found.size, slice_of(before.file, found)


def _stems(name: str) -> list[str]:
    """A name without the extension that a format may have added: one dot, or two as in ``.nii.gz``."""
    shorter = name.rpartition(".")[0]
    return [shorter.rpartition(".")[0], shorter]
