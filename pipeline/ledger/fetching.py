"""The files of many units, fetched ahead by threads, and read ahead by as many as there are cores.

Threads that read single Parquet files of 32 rows wait for one another longer than that takes: a thread reads
many before it hands over. Two then read twice as many as one.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeAlias, TypeVar

from pipeline.storage.folder import Folder

Given = TypeVar("Given")
Made = TypeVar("Made")
File: TypeAlias = tuple[str, bytes | None]
"""Key and content; ``None`` where it is not there any more."""

_FETCHED = 16
"""Files that a thread fetches one after the other: handing over each takes as long as a disk needs for it."""
_READ = 64
"""Files that a thread reads one after the other."""
AT_ONCE = 256
"""So many files are fetched ahead, and as many read, or two tasks a thread."""


def fetched(folder: Folder, keys: Sequence[str], threads: int = 8) -> Iterator[File]:
    """Each key with its content, in their order.

    Raises what ``Folder.read`` does, but for files that are not there any more.
    """

    def fetch(key: str) -> File:
        try:
            return key, folder.read(key)
        except FileNotFoundError:
            return key, None

    return _ahead(fetch, keys, threads, _FETCHED)


def read_ahead(read: Callable[[File], Made], files: Iterable[File]) -> Iterator[Made]:
    """What is read of each file, in their order, on all cores. Raises what ``read`` does."""
    return _ahead(read, files, os.cpu_count() or 1, _READ)


def _ahead(
    make: Callable[[Given], Made], given: Iterable[Given], threads: int, together: int
) -> Iterator[Made]:
    """What is made of each, in order: ``together`` of them a task of a thread."""
    for made in parts_ahead(lambda task: list(map(make, task)), given, threads, together):
        yield from made


def parts_ahead(
    make: Callable[[list[Given]], Made], given: Iterable[Given], threads: int, together: int
) -> Iterator[Made]:
    """What is made of so many ``together``, in order, on threads, ``AT_ONCE`` ahead, or two tasks each.

    Raises what ``make`` does.
    """
    ahead = max(AT_ONCE // together, 2 * threads)
    waiting: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for task in _parts(given, together):
            waiting.append(pool.submit(make, task))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _parts(given: Iterable[Given], length: int) -> Iterator[list[Given]]:
    part: list[Given] = []
    for each in given:
        part.append(each)
        if len(part) == length:
            yield part
            part = []
    if part:
        yield part
