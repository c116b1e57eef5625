"""Pages of a listing by column: of ten million objects none of Python is made, unless it is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from itertools import compress, islice
from typing import Any, overload

from pipeline.storage.base import Entry

Listed = tuple[str, int, str]
"""Key, size, version."""
_NAMES = tuple(each.name for each in fields(Entry))
_OTHERS = _NAMES[3:]


@dataclass(frozen=True)
class Entries(Sequence[Entry]):
    """Some entries in a row. As a sequence it is one of ``Entry``, each made when it is asked for."""

    keys: list[str]
    sizes: list[int]
    versions: list[str]
    others: dict[str, list[str]] = field(default_factory=dict)
    """The other fields of ``Entry`` by their names, where not all of them are empty."""

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Entries:
        """Of entries that stand alone; nothing is done to what is a page already."""
        if isinstance(entries, Entries):
            return entries
        some = list(entries)
        others = {name: [getattr(each, name) for each in some] for name in _OTHERS}
        return cls(
            [each.key for each in some],
            [each.size for each in some],
            [each.version for each in some],
            {name: column for name, column in others.items() if any(column)},
        )

    @classmethod
    def listed(cls, some: Iterable[Listed]) -> Entries:
        """Of plain tuples."""
        keys, sizes, versions = tuple(zip(*some, strict=True)) or ((), (), ())
        return cls(list(keys), list(sizes), list(versions))

    def column(self, name: str) -> list[Any]:
        """A field of all entries."""
        return self.given(name) or [""] * len(self)

    def given(self, name: str) -> list[Any] | None:
        """The same; ``None`` where it is empty in all of them."""
        columns = (self.keys, self.sizes, self.versions)
        return columns[_NAMES.index(name)] if name in _NAMES[:3] else self.others.get(name)

    def chosen(self, mask: Sequence[bool]) -> Entries:
        """Those for which ``mask`` is true."""
        return self if all(mask) else self._mapped(lambda column: list(compress(column, mask)))

    def at(self, places: Iterable[int]) -> Entries:
        """Those at these places."""
        wanted = list(places)
        if wanted == list(range(len(self))):
            return self
        return self._mapped(lambda column: [column[place] for place in wanted])

    def _mapped(self, change: Any) -> Entries:
        others = {name: change(column) for name, column in self.others.items()}
        return Entries(change(self.keys), change(self.sizes), change(self.versions), others)

    @cached_property
    def endings(self) -> frozenset[str]:
        """What the keys end in, from the last dot on, in lower case; of a key without one its last letter.

        Few pages have many, so that what goes by endings need not look at every key.
        """
        ending = self.keys[0][self.keys[0].rfind(".") :] if self.keys else ""
        text = "\n".join([*self.keys, ""])  # two counts by the processor's own means, not a look at each key
        if ending.startswith(".") and text.count(f"{ending}\n") == text.count("\n") == len(self):
            return frozenset([ending.lower()])
        return frozenset(each.lower() for each in {key[key.rfind(".") :] for key in self.keys})

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, place: int) -> Entry: ...
    @overload
    def __getitem__(self, place: slice) -> Entries: ...
    def __getitem__(self, place: int | slice) -> Entry | Entries:
        if isinstance(place, slice):
            return self._mapped(lambda column: column[place])
        others = {name: column[place] for name, column in self.others.items()}
        return Entry(self.keys[place], self.sizes[place], self.versions[place], **others)

    def __iter__(self) -> Iterator[Entry]:
        return map(Entry, *(self.column(name) for name in _NAMES))


def in_pages(listed: Iterator[Listed], length: int) -> Iterator[Entries]:
    """A listing some entries at a time."""
    while some := list(islice(listed, length)):
        yield Entries.listed(some)


def as_pages(walked: Iterator[Entries] | Iterator[Entry], length: int) -> Iterator[Entries]:
    """A listing that may be one by one."""
    alone: list[Entry] = []
    for each in walked:
        if isinstance(each, Entries):
            yield each
            continue
        alone.append(each)
        if len(alone) == length:
            yield Entries.of(alone)
            alone = []
    if alone:
        yield Entries.of(alone)


def of_length(pages: Iterator[Entries], length: int) -> Iterator[Entries]:
    """The same entries in pages of this length, but for the last."""
    waiting: list[Entries] = []
    count = 0
    for page in pages:
        waiting.append(page)
        count += len(page)
        if count >= length:
            whole = _joined(waiting)
            for start in range(0, count - length + 1, length):
                yield whole[start : start + length]
            waiting = [whole[count - count % length :]]
            count %= length
    if count:
        yield _joined(waiting)


def _joined(pages: Sequence[Entries]) -> Entries:
    if len(pages) == 1:
        return pages[0]
    names = [name for name in _OTHERS if any(name in page.others for page in pages)]
    columns = {name: _chained(page.column(name) for page in pages) for name in (*_NAMES[:3], *names)}
    key, size, version = _NAMES[:3]
    return Entries(columns.pop(key), columns.pop(size), columns.pop(version), columns)


def _chained(columns: Iterable[list[Any]]) -> list[Any]:
    whole: list[Any] = []
    for column in columns:
        whole += column
    return whole
