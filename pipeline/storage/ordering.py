"""Listings in order of key whatever order a store has them in, a bounded number in memory."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from heapq import merge
from itertools import islice
from operator import ge
from pathlib import Path
from typing import BinaryIO, TypeVar

from pipeline.errors import StorageError
from pipeline.storage.entries import Entries
from pipeline.storage.scratch import scratch

T = TypeVar("T")

RUN = 100_000
"""So many are sorted in memory, some tens of megabytes; runs of them are merged from this machine's disk."""
_TOGETHER = 1000


def in_order(items: Iterator[T], key: Callable[[T], str]) -> Iterator[T]:
    """The items, sorted."""
    run = sorted(islice(items, RUN), key=key)
    if len(run) < RUN:
        yield from run
        return
    with scratch("listing") as place:
        runs: list[Iterator[T]] = []
        while run:
            path = place / f"{len(runs)}"
            with path.open("wb") as file:
                write_spool(file, iter(run))
            runs.append(read_spool(path))
            run = sorted(islice(items, RUN), key=key)
        yield from merge(*runs, key=key)


def each_key_once(pages: Iterator[Entries], url: str) -> Iterator[Entries]:
    """The entries of a store that lists in order of key. One that is listed twice is handed on once;
    ``StorageError`` where the order is another: what comes later could be missed, or taken twice."""
    last: str | None = None
    for page in pages:
        if not page:
            continue
        if (last is not None and last >= page.keys[0]) or any(map(ge, page.keys, page.keys[1:])):
            before = [last, *page.keys[:-1]]
            page = page.chosen(
                [_is_new(key, other, url) for key, other in zip(page.keys, before, strict=True)]
            )
        if page:
            last = page.keys[-1]
            yield page


def _is_new(key: str, before: str | None, url: str) -> bool:
    if before is not None and key < before:
        raise StorageError(
            f"{url}: the store does not list its objects in order of their keys ({key!r} came "
            f"after {before!r}); list them in a manifest, which may be in any order"
        )
    return key != before


def write_spool(file: BinaryIO, items: Iterator[T]) -> None:
    """Items of any length into a file of this process."""
    while some := list(islice(items, _TOGETHER)):
        pickle.dump(some, file, pickle.HIGHEST_PROTOCOL)


def read_spool(path: Path) -> Iterator[T]:
    """The same again."""
    with path.open("rb") as file:
        while True:
            try:
                yield from pickle.load(file)
            except EOFError:
                return
