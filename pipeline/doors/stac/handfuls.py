"""Many small requests at a time, a handful to a thread: handing one over costs as much as a small file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")

THREADS = 16
_HANDFUL = 16


def mapped(pool: ThreadPoolExecutor, function: Callable[[A], B], values: Iterable[A]) -> Iterator[B]:
    """As ``map``, in order; as many values are under way as all threads take at once, and no more."""
    iterator = iter(values)

    def each(handful: list[A]) -> list[B]:
        return [function(value) for value in handful]

    while some := list(islice(iterator, THREADS * _HANDFUL)):
        step = max(1, min(_HANDFUL, -(-len(some) // THREADS)))
        handfuls = [some[first : first + step] for first in range(0, len(some), step)]
        for results in pool.map(each, handfuls):
            yield from results
