"""Lists a prefix of S3: one page after the other, or in ranges of keys at once where there are folders.

A listing of S3 goes from token to token, 1,000 keys each: ten million take ten thousand answers, one after
the other. Folders, which a listing by delimiter tells, cut the keys into ranges; each is listed from
``StartAfter`` on, into a file of this machine, and handed on in order. Whatever is put or deleted meanwhile,
every key that is there all the time is listed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.storage.entries import Listed
from pipeline.storage.ordering import read_spool, write_spool
from pipeline.storage.scratch import scratch

Ask = Callable[..., dict[str, Any]]
"""``list_objects_v2`` with these arguments."""

RANGES = 64
THREADS = 16
_DEPTH = 4
"""So many folders that hold a single folder are looked into for the next ones."""
_PAGES_OF_FOLDERS = 20


def list_prefix(ask: Ask, prefix: str) -> Iterator[Listed]:
    """Every object whose key begins so, in order of key."""
    page = ask(Prefix=prefix)
    yield from _listed(page)
    if not page.get("IsTruncated"):
        return
    last = str(page["Contents"][-1]["Key"]) if page.get("Contents") else ""
    bounds = _bounds(ask, prefix, last) if last else []
    if not bounds:
        yield from list_pages(ask, prefix, ContinuationToken=page["NextContinuationToken"])
        return
    yield from _ranges(ask, prefix, last, bounds)


def list_pages(ask: Ask, prefix: str, **request: Any) -> Iterator[Listed]:
    """The same from a place on, one page after the other, in the order of the store."""
    while True:
        page = ask(Prefix=prefix, **request)
        yield from _listed(page)
        if not page.get("IsTruncated"):
            return
        request = {"ContinuationToken": page["NextContinuationToken"]}


def _listed(page: dict[str, Any]) -> Iterator[Listed]:
    for each in page.get("Contents", ()):
        yield each["Key"], int(each["Size"]), str(each.get("ETag", "")).strip('"')


def _bounds(ask: Ask, prefix: str, after: str) -> list[str]:
    """Folders behind a key, at most ``RANGES``, evenly taken; none where they would cut nothing."""
    for _ in range(_DEPTH):
        folders = _folders(ask, prefix, after)
        behind = [each for each in folders if each > after]
        if len(behind) > 1:
            step = -(-len(behind) // RANGES)
            return behind[::step]
        if len(folders) != 1:
            return []
        prefix = folders[0]
    return []


def _folders(ask: Ask, prefix: str, after: str) -> list[str]:
    found: list[str] = []
    request: dict[str, Any] = {"StartAfter": after}
    for _ in range(_PAGES_OF_FOLDERS):
        page = ask(Prefix=prefix, Delimiter="/", **request)
        found += [str(each["Prefix"]) for each in page.get("CommonPrefixes", ())]
        if not page.get("IsTruncated"):
            break
        request = {"ContinuationToken": page["NextContinuationToken"]}
    return found


def _ranges(ask: Ask, prefix: str, last: str, bounds: list[str]) -> Iterator[Listed]:
    """What comes after ``last``, cut before each bound."""
    starts, ends = [last, *bounds], [*bounds, ""]
    with scratch("listing") as place, ThreadPoolExecutor(THREADS, "listing") as pool:
        waiting: list[Future[Path]] = []
        try:
            for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
                spool = partial(_spool, ask, prefix, last, start, end, place / str(number))
                waiting.append(pool.submit(spool))
            for each in waiting:
                path = each.result()
                yield from read_spool(path)
                path.unlink()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _spool(ask: Ask, prefix: str, last: str, start: str, end: str, path: Path) -> Path:
    # A bound is a folder, "a/b/", and may be an object as well: what is listed begins before it, at "a/b.".
    before = start if start == last else start[:-1] + chr(ord("/") - 1)
    keys = list_pages(ask, prefix, StartAfter=before)
    with path.open("wb") as file:
        write_spool(file, _between(keys, last, start, end))
    return path


def _between(listed: Iterator[Listed], last: str, start: str, end: str) -> Iterator[Listed]:
    for each in listed:
        if end and each[0] >= end:
            return
        if each[0] >= start and each[0] > last:
            yield each
