"""What every door owes, whatever it opens."""

from __future__ import annotations

import gc
import tracemalloc
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import count

import pytest

from pipeline import run
from pipeline.doors.archive import Archive
from pipeline.errors import RunStopped, StorageError
from pipeline.jobs.job import Job
from pipeline.ledger.run_folder import open_run
from pipeline.results.verify import verify
from pipeline.storage.base import Entry
from pipeline.storage.folder import Folder
from tests.helpers import complete, lasting, metric_rows, plan_and_execute

ODD = (
    "plain.png",
    "with space.png",
    "d\u00e9j\u00e0 vu/\u5199\u771f.png",
    "100%.png",
    "a#b?.png",
    "[b].png",
    "q'\".png",
)
"""Names that images have in archives."""

Make = Callable[[dict[str, bytes]], Callable[[], Archive]]
"""Writes an archive of these images, and says how it is opened."""


def listed(archive: Archive, pattern: str = "*") -> list[Entry]:
    return [entry for page in archive.pages(pattern) for entry in page]


def check_door(make: Make, data_of: Callable[[int], bytes], names: tuple[str, ...] = ODD) -> None:
    """Listing complete, read equals put, names odd, a change noticed, nothing changed by reading.

    ``data_of(99)``: the first one, changed.
    """
    images, plain = {name: data_of(index) for index, name in enumerate(names)}, names[0]
    opened = make(images)
    before = {entry.key: entry for entry in listed(opened())}
    assert len(before) == len(images), sorted(before)
    called = {key: next(name for name in images if key.endswith(name)) for key in before}
    assert sorted(called.values()) == sorted(images)
    for key, entry in before.items():
        check_reading(opened(), entry, images[called[key]])
    assert {entry.key: entry for entry in listed(opened())} == before
    (key,) = (key for key in before if key.endswith(plain))
    assert [entry.key for entry in listed(opened(), f"*{plain[1:]}")] == [key]
    changed = make(images | {plain: data_of(99)})
    after = {entry.key: entry for entry in listed(changed())}
    assert after[key].version != before[key].version


def check_reading(archive: Archive, entry: Entry, data: bytes) -> None:
    """The same bytes, whichever way they are read."""
    at = entry.at or entry.key
    assert archive.read(at) == data
    assert entry.size in (-1, len(data))
    assert archive.head(at, 5) == data[:5]
    assert archive.head(at, 1 << 20) == data
    with archive.open(at) as file:
        file.seek(3)
        assert file.read(4) == data[3:7]
    now = archive.entry(at)
    assert (now.key, now.size) == (entry.key, entry.size)
    assert now.version in ("", entry.version)
    assert archive.uri(at)


def check_many(archive: Archive, count: int, most_bytes: int) -> None:
    """A large listing comes in pages and is never held."""
    next(iter(archive.pages("*")))  # what is imported late is no part of a listing
    peaks = []
    while len(peaks) < 3 and not any(peak < most_bytes for peak in peaks):  # threads of other tests take some
        gc.collect()
        tracemalloc.start()
        try:
            found = sum(len(page) for page in archive.pages("*", Counter[str]()))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert found == count
        peaks.append(peak)
    assert min(peaks) < most_bytes, peaks


def check_absent(archive: Callable[[], Archive]) -> None:
    """What is not there is no empty archive."""
    with pytest.raises(StorageError, match="cannot list"):
        listed(archive())


class Death(BaseException):
    """The end of the process, as far as the store can see."""


def check_losses_are_seen(job: Job) -> None:
    """Whatever is gone or damaged below the output, ``verify`` says so and ``repair`` makes it again."""
    complete(job)
    out = Folder(job.output)
    keys = [each.key for page in out.pages() for each in page if not each.key.startswith("_restora/")]

    def harm(number: int) -> None:
        if number % 2:
            out.delete(keys[number])
        else:
            out.put(keys[number], b"x")

    for number, key in enumerate(keys):
        before = out.read(key)
        harm(number)
        assert not verify(open_run(job)).is_whole, key
        out.put(key, before)
    assert verify(open_run(job)).is_whole
    for number in range(len(keys)):
        harm(number)
    assert plan_and_execute(job, repair=True)[1].quarantined == 0
    run.compact(open_run(job))
    assert verify(open_run(job)).is_whole
    gone = [key for key in keys if not out.exists(key)]
    assert not gone, gone


def check_kill_safe(
    job: Job, results: Callable[[], dict[str, bytes]], monkeypatch: pytest.MonkeyPatch, *, before: bool = True
) -> int:
    """Dies before and after every write of results and rows, goes on, and ends as if nothing had been.

    ``results``: every object of the output, without the run folder. ``before``: if not, only after, where
    each run takes seconds and another store has shown both. Returns how many writes there were.
    """
    complete(job)
    expected, rows = results(), lasting(metric_rows(job))
    writes = 0
    for point in count() if before else count(1, 2):
        Folder(job.output).delete_all([entry.key for page in Folder(job.output).pages() for entry in page])
        with monkeypatch.context() as patch, suppress(Death, RunStopped):
            written = _dying(patch, point)
            plan_and_execute(job)
            writes = len(written)
        if writes:
            return writes
        assert lasting(complete(job)) == rows
        assert results() == expected
    raise AssertionError("unreachable")


def _dying(patch: pytest.MonkeyPatch, point: int) -> list[str]:
    """Ends before the write ``point // 2`` where the point is even, after it where it is odd."""
    written: list[str] = []

    def deadly(place: Callable[..., None]) -> Callable[..., None]:
        def placed(folder: Folder, key: str, data: object) -> None:
            is_result = "/ledger/" in folder.uri(key) or "/_restora/" not in folder.uri(key)
            if is_result and point == 2 * len(written):
                raise Death
            place(folder, key, data)
            if is_result:
                written.append(key)
                if point == 2 * len(written) - 1:
                    raise Death

        return placed

    patch.setattr(Folder, "put", deadly(Folder.put))
    patch.setattr(Folder, "put_file", deadly(Folder.put_file))
    return written
