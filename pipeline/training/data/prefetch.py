"""What the next steps need, made on threads while this step runs."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class Prefetch(Generic[T]):
    """``prefetch.take()`` gives ``make(first)``, ``make(first + 1)`` ...; further ones are being made."""

    def __init__(self, make: Callable[[int], T], first: int, *, threads: int = 1) -> None:
        self._make, self._next = make, first
        self._ahead = threads + 1
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="samples")
        self._waiting: deque[Future[T]] = deque()
        self.waited = 0.0
        """Seconds that ``take`` has waited."""

    def take(self) -> T:
        """The next one; raises what making it raised."""
        while len(self._waiting) < self._ahead:
            self._waiting.append(self._pool.submit(self._make, self._next))
            self._next += 1
        started = time.perf_counter()
        result = self._waiting.popleft().result()
        self.waited += time.perf_counter() - started
        self._waiting.append(self._pool.submit(self._make, self._next))
        self._next += 1
        return result

    def close(self) -> None:
        """Ends the threads; what was made ahead is forgotten."""
        self._pool.shutdown(wait=True, cancel_futures=True)
