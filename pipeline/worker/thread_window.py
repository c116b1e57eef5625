"""Work handed to a pool of threads, its results taken in order, a bounded number under way."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


class ThreadWindow(Generic[Given, Made]):
    """``feed`` hands items to the pool and yields what is due; ``rest`` yields what is still under way."""

    def __init__(self, pool: ThreadPoolExecutor, most: int, work: Callable[[Given], Made]) -> None:
        self._pool, self._most, self._work = pool, most, work
        self._futures: deque[Future[Made]] = deque()

    def feed(self, items: Iterable[Given]) -> Iterator[Made]:
        """Hands the items over one by one; raises what the work raised."""
        for item in items:
            self._futures.append(self._pool.submit(self._work, item))
            while len(self._futures) > self._most:
                yield self._futures.popleft().result()

    def rest(self) -> Iterator[Made]:
        """Results of all that was handed over."""
        while self._futures:
            yield self._futures.popleft().result()
