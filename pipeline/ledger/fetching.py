"""The files of many units, fetched ahead by threads.

They are read by who asks: threads that read Parquet files of 32 rows wait for one another longer than that
takes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from pipeline.storage.folder import Folder

AT_ONCE = 256
"""So many files are fetched ahead."""
_TOGETHER = 16
"""Files that a thread fetches one after the other: handing over each takes as long as a disk needs for it."""


def fetched(folder: Folder, keys: list[str], threads: int = 8) -> Iterator[tuple[str, bytes | None]]:
    """Each key with its content, or with ``None`` where it is not there any more.

    Raises what ``Folder.read`` does otherwise.
    """
    waiting: deque[Future[list[bytes | None]]] = deque()
    tasks = [keys[start : start + _TOGETHER] for start in range(0, len(keys), _TOGETHER)]
    with ThreadPoolExecutor(threads) as pool:
        for place in range(len(tasks)):
            for task in tasks[place + len(waiting) : place + AT_ONCE // _TOGETHER]:
                waiting.append(pool.submit(_contents, folder, task))
            yield from zip(tasks[place], waiting.popleft().result(), strict=True)


def _contents(folder: Folder, keys: list[str]) -> list[bytes | None]:
    return [_content(folder, each) for each in keys]


def _content(folder: Folder, key: str) -> bytes | None:
    try:
        return folder.read(key)
    except FileNotFoundError:
        return None
