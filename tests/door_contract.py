"""What every door owes, whatever it opens."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Callable

import pytest

from pipeline.doors.base import Archive
from pipeline.storage.base import Entry

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


def check_door(make: Make, data_of: Callable[[int], bytes]) -> None:
    """Listing complete, read equals put, names odd, a change noticed, nothing changed by reading."""
    images = {name: data_of(index) for index, name in enumerate(ODD)}
    opened = make(images)
    before = {entry.key: entry for entry in listed(opened())}
    assert len(before) == len(images), sorted(before)
    names = {key: next(name for name in images if key.endswith(name)) for key in before}
    assert sorted(names.values()) == sorted(images)
    for key, entry in before.items():
        check_reading(opened(), entry, images[names[key]])
    assert {entry.key: entry for entry in listed(opened())} == before
    assert [entry.key for entry in listed(opened(), "*lain.png")] == [
        k for k in before if k.endswith("plain.png")
    ]
    changed = make(images | {"plain.png": data_of(99)})
    after = {entry.key: entry for entry in listed(changed())}
    (key,) = (key for key in before if key.endswith("plain.png"))
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
    left_out: Counter[str] = Counter()
    tracemalloc.start()
    try:
        found = sum(len(page) for page in archive.pages("*", left_out))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == count
    assert peak < most_bytes, peak


def check_absent(archive: Callable[[], Archive]) -> None:
    """What is not there is no empty archive."""
    from pipeline.errors import StorageError

    with pytest.raises(StorageError, match="cannot list"):
        listed(archive())
