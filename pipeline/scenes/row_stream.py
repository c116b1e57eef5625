"""The rows of a scene from above, held no longer than they are needed, and prefetched."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from pipeline.scenes.geometry import Range
from pipeline.scenes.reader import Group, Scene


@contextmanager
def rolling(scene: Scene, needed: Sequence[Range]) -> Iterator[Iterator[Sequence[Group]]]:
    """For each range of rows, in order from above, the groups that hold it. Raises what reading raises."""
    with prefetch(scene.groups(needed[0][0], needed[-1][1])) as coming:

        def held() -> Iterator[Sequence[Group]]:
            groups: deque[Group] = deque()
            for first, last in needed:
                while groups and groups[0].last <= first:
                    groups.popleft()
                while not groups or groups[-1].last < last:
                    groups.append(next(coming))
                yield groups

        yield held()


T = TypeVar("T")


@contextmanager
def prefetch(items: Generator[T, None, None]) -> Iterator[Iterator[T]]:
    """The same items, the next made while this one is used; the generator runs on one thread."""
    with ThreadPoolExecutor(1, thread_name_prefix="rows") as pool:

        def taken() -> Iterator[T]:
            coming = pool.submit(next, items, None)
            while (item := coming.result()) is not None:
                coming = pool.submit(next, items, None)
                yield item

        try:
            yield taken()
        finally:
            pool.submit(items.close)
