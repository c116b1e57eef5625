"""The next item of an iterator is made on a thread of its own while this one is worked on."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def ahead(items: Generator[T, None, None]) -> Iterator[Iterator[T]]:
    """The same items, one of them made ahead; all of the generator's code runs on one thread."""
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
