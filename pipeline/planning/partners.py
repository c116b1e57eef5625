"""Which object of another folder belongs to which image: by the keys of both, before any of them is read.

The listing of that folder is held in a temporary database, on disk where it is large, so that it takes no
memory in proportion to the archive.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from pipeline.errors import FolderNotFound, StorageError
from pipeline.jobs.job import Dataset
from pipeline.privacy.naming import ending_of
from pipeline.storage.base import Entry
from pipeline.storage.entries import Entries
from pipeline.storage.folder import Folder

_MOST_NAMED = 5
"""Keys that a message names."""
_AT_ONCE = 900
"""Stems that are looked up in one query: SQLite takes 999 values in its oldest builds."""

Candidates = dict[str, Entry]
"""Key -> entry of what has one stem."""


@dataclass(frozen=True)
class Kind:
    """What the objects of a folder are to the images, in the words of messages."""

    name: str
    """``references``."""
    rule: str
    """The field of a dataset that leads from an image's key to theirs: ``references.match``."""
    none: str
    """Reason code where there is none."""
    several: str
    """Reason code where there are several."""
    accepts: Callable[[str], bool]
    """Whether a key may be one."""
    otherwise: str = ""
    """What else their field may say, for whom there is no such folder."""


@dataclass(frozen=True)
class NoPartner:
    """Why an image has none; the words name nothing of a private dataset."""

    reason: str
    why: str


class Partners:
    """``find(names)`` looks names up among the objects of a folder."""

    def __init__(self, folder: Folder, dataset: Dataset, kind: Kind) -> None:
        self._private, self._kind, self.url = bool(dataset.private), kind, folder.url
        # "" is a database that SQLite spills to a file without a name, and removes: not for names to hide.
        self._index = sqlite3.connect(":memory:" if self._private else "")
        self._index.execute(
            "CREATE TABLE found (stem TEXT, key TEXT, size INT, version TEXT, PRIMARY KEY (stem, key)) "
            "WITHOUT ROWID"
        )
        for page in _listed(folder, dataset, kind):
            rows = (
                (_stem(each.key), each.key, each.size, each.version) for each in page if self._takes(each)
            )
            self._index.executemany("INSERT OR IGNORE INTO found VALUES (?, ?, ?, ?)", rows)

    def __len__(self) -> int:
        (count,) = self._index.execute("SELECT count(*) FROM found").fetchone()
        return int(count)

    def close(self) -> None:
        """Forgets the listing."""
        self._index.close()

    def find(self, names: Iterable[str]) -> dict[str, Candidates]:
        """Stem -> what has it, for all of these names."""
        stems = sorted({_stem(name) for name in names if name})
        found: dict[str, Candidates] = {}
        for start in range(0, len(stems), _AT_ONCE):
            some = stems[start : start + _AT_ONCE]
            query = f"SELECT * FROM found WHERE stem IN ({','.join('?' * len(some))})"
            for stem, key, size, version in self._index.execute(query, some):
                found.setdefault(stem, {})[key] = Entry(key, size, version)
        return found

    def choose(self, name: str, found: dict[str, Candidates]) -> Entry | NoPartner:
        """The object of this key, else the only one that differs from it in its extension.

        No name is that of an image whose key the rule does not match.
        """
        if not name:
            return NoPartner(self._kind.none, no_match(self._kind.rule))
        candidates = found.get(_stem(name), {})
        if name in candidates:
            return candidates[name]
        if len(candidates) == 1:
            return next(iter(candidates.values()))
        if not candidates:
            shown = "" if self._private else f" {name}"
            return NoPartner(self._kind.none, f"the {self._kind.name} hold no{shown or ' such object'}")
        shown = "" if self._private else ": " + ", ".join(sorted(candidates)[:_MOST_NAMED])
        return NoPartner(self._kind.several, f"{len(candidates)} objects differ in extension{shown}")

    def _takes(self, entry: Entry) -> bool:
        return not entry.is_unreadable and self._kind.accepts(entry.key)


@dataclass(frozen=True)
class KeyRule:
    """From the key of an image to other keys: the same one, or templates of the groups of ``match``."""

    match: re.Pattern[str] | None
    templates: tuple[str, ...]

    def names(self, key: str) -> tuple[str, ...]:
        """One name per template, empty where it has none; without a rule the key itself, then nothing."""
        if self.match is None:
            return (key, *("" for _ in self.templates[1:]))
        matched = self.match.fullmatch(key)
        if matched is None:
            return ("",) * len(self.templates)
        groups = {name: text or "" for name, text in matched.groupdict().items()}
        return tuple(template.format_map(groups) for template in self.templates)


def no_match(rule: str) -> str:
    """Why an image has nothing by a rule of its dataset."""
    return f"its key does not match the rule {rule}"


def _stem(key: str) -> str:
    """A key without its extension: a known one, else what follows the last dot of the name."""
    if known := ending_of(key):
        return key[: -len(known)]
    folder, slash, name = key.rpartition("/")
    stem = name.rpartition(".")[0]
    return folder + slash + (stem or name)


def _listed(folder: Folder, dataset: Dataset, kind: Kind) -> Iterator[Entries]:
    try:
        yield from folder.pages()
    except StorageError as error:
        what = f'the {kind.name} of "{dataset.name}"'
        if not dataset.private:
            cure = kind.otherwise if isinstance(error, FolderNotFound) else ""
            raise type(error)(f"{what}: {error}{cure}") from error
        cause = type(error.__cause__ or error).__name__
        raise StorageError(f"cannot list {what}, a private dataset: {cause}") from None
