"""Which object is the reference of which image: by the keys of both, before any of them is read.

The listing of the references is held in a temporary database, on disk where it is large, so that it takes no
memory in proportion to the archive.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pipeline.attached import Attached
from pipeline.errors import StorageError
from pipeline.hashing import seed_of
from pipeline.jobs.datasets import References
from pipeline.jobs.job import Dataset, Job
from pipeline.planning.no_images import is_no_image
from pipeline.privacy.datasets import references_of
from pipeline.privacy.key import unseal
from pipeline.privacy.naming import ending_of
from pipeline.storage.base import Entry
from pipeline.storage.folder import Folder

_MOST_NAMED = 5
"""Keys that a message names."""
_TAKEN = "another image of the folder has the same reference"
_AT_ONCE = 900
"""Stems that are looked up in one query: SQLite takes 999 values in its oldest builds."""

Candidates = dict[str, Entry]
"""Key -> entry of what has one stem."""


class Pairing:
    """``attach(page)`` gives every entry of a listing its reference, or the reason why it has none."""

    def __init__(self, dataset: Dataset, *, one_to_one: bool) -> None:
        """``one_to_one``: an image whose reference another one has already gets none."""
        assert dataset.references is not None
        self._private, self._one_to_one = bool(dataset.private), one_to_one
        self._taken: set[int] = set()
        self._rule = _opened(dataset.references)
        self._match = re.compile(self._rule.match) if self._rule.match is not None else None
        folder = references_of(dataset)
        assert folder is not None
        self._url = folder.url
        # "" is a database that SQLite spills to a file without a name, and removes: not for names to hide.
        self._index = sqlite3.connect(":memory:" if self._private else "")
        self._index.execute(
            "CREATE TABLE found (stem TEXT, key TEXT, size INT, version TEXT, PRIMARY KEY (stem, key)) "
            "WITHOUT ROWID"
        )
        for page in _listed(folder, dataset):
            rows = ((_stem(each.key), each.key, each.size, each.version) for each in page if _is_image(each))
            self._index.executemany("INSERT OR IGNORE INTO found VALUES (?, ?, ?, ?)", rows)

    def close(self) -> None:
        """Forgets the listing."""
        self._index.close()

    def attach(self, page: Sequence[Entry]) -> list[Entry]:
        """The entries, each with what was found."""
        wanted = {entry.key: self._names(entry.key) for entry in page}
        stems = {_stem(name) for names in wanted.values() for name in names if name}
        found = self._found(sorted(stems))
        return [self._with_reference(each, self._attached(wanted[each.key], found)) for each in page]

    @staticmethod
    def _with_reference(entry: Entry, found: Attached) -> Entry:
        """Beside what a manifest says of it."""
        if not entry.attached:
            return replace(entry, attached=found.text)
        listed = Attached.of(entry.attached)
        kept = {name: getattr(listed, name) for name in ("mask", "noise_level", "labels")}
        return replace(entry, attached=replace(found, **kept).text)

    def unused(self) -> int:
        """How many references no image has, where each is given once and the rule names no masks."""
        if not self._one_to_one or self._rule.clear is not None:
            return 0
        (count,) = self._index.execute("SELECT count(*) FROM found").fetchone()
        return int(count) - len(self._taken)

    def _names(self, key: str) -> tuple[str, str]:
        """The keys of reference and mask, by the rule; empty where there are none."""
        if self._match is None:
            return key, ""
        matched = self._match.fullmatch(key)
        if matched is None or self._rule.reference is None:
            return "", ""
        groups = {name: text or "" for name, text in matched.groupdict().items()}
        return self._rule.reference.format_map(groups), (self._rule.clear or "").format_map(groups)

    def _attached(self, names: tuple[str, str], found: dict[str, Candidates]) -> Attached:
        reference, clear = names
        if not reference:
            return Attached(fault="NO_REFERENCE", why="its key does not match references.match")
        entry = self._chosen(reference, found)
        if isinstance(entry, Attached):
            return entry
        if self._is_taken(entry.key):
            return Attached(fault="TWO_REFERENCES", why=_TAKEN)
        attached = Attached(f"{self._url}/{entry.key}", entry.size, entry.version)
        if not clear:
            return attached
        mask = self._chosen(clear, found)
        if isinstance(mask, Attached):
            return mask
        return replace(attached, clear=f"{self._url}/{mask.key}", clear_version=mask.version)

    def _is_taken(self, key: str) -> bool:
        """Whether an image before has it; from now on one has."""
        if not self._one_to_one:
            return False
        name = seed_of(key)
        taken = name in self._taken
        self._taken.add(name)
        return taken

    def _chosen(self, name: str, found: dict[str, Candidates]) -> Entry | Attached:
        """The object of this key, else the only one that differs from it in its extension."""
        candidates = found.get(_stem(name), {})
        if name in candidates:
            return candidates[name]
        if len(candidates) == 1:
            return next(iter(candidates.values()))
        if not candidates:
            shown = "" if self._private else f" {name}"
            return Attached(fault="NO_REFERENCE", why=f"the references hold no{shown or ' such object'}")
        shown = "" if self._private else ": " + ", ".join(sorted(candidates)[:_MOST_NAMED])
        return Attached(fault="TWO_REFERENCES", why=f"{len(candidates)} objects differ in extension{shown}")

    def _found(self, stems: list[str]) -> dict[str, Candidates]:
        found: dict[str, Candidates] = {}
        for start in range(0, len(stems), _AT_ONCE):
            some = stems[start : start + _AT_ONCE]
            query = f"SELECT * FROM found WHERE stem IN ({','.join('?' * len(some))})"
            for stem, key, size, version in self._index.execute(query, some):
                found.setdefault(stem, {})[key] = Entry(key, size, version)
        return found


def paired(
    job: Job, dataset: Dataset, pages: Iterator[list[Entry]], skipped: Counter[str]
) -> Iterator[list[Entry]]:
    """The pages of a dataset's images, with their references where it has any.

    References left over are counted in ``skipped``: an image that a tool did not give has no row.
    """
    if dataset.references is None:
        taken: set[int] = set()
        for page in pages:
            yield [_listed_pair(entry, job, taken) for entry in page] if dataset.is_manifest else page
        return
    pairing = Pairing(dataset, one_to_one=job.scores_only)
    try:
        for page in pages:
            yield pairing.attach(page)
        if unused := pairing.unused():
            skipped[f"references that no image of {dataset.name} has"] += unused
    finally:
        pairing.close()


def _listed_pair(entry: Entry, job: Job, taken: set[int]) -> Entry:
    """A row of a manifest, with as much of what it says as the job asks for."""
    if not entry.attached and not job.is_paired:
        return entry
    attached = Attached.of(entry.attached)
    if not job.is_paired:
        kept = replace(attached, reference="", reference_size=-1, reference_version="", clear="")
        if job.degradations:
            kept = replace(kept, mask="", noise_level=None)
        return entry if kept == attached else replace(entry, attached=kept.text)
    if not attached.reference:
        fault = replace(attached, fault="NO_REFERENCE", why="its row of the manifest names none")
        return replace(entry, attached=fault.text)
    if not job.scores_only:
        return entry
    if (name := seed_of(attached.reference)) in taken:
        fault = replace(attached, reference="", fault="TWO_REFERENCES", why=_TAKEN)
        return replace(entry, attached=fault.text)
    taken.add(name)
    return entry


def _opened(references: References) -> References:
    names = [name for name in ("match", "reference", "clear") if getattr(references, name) is not None]
    texts = unseal([getattr(references, name) for name in names])
    return references.model_copy(update=dict(zip(names, texts, strict=True)))


def _stem(key: str) -> str:
    """A key without its extension: a known one, else what follows the last dot of the name."""
    if known := ending_of(key):
        return key[: -len(known)]
    folder, slash, name = key.rpartition("/")
    stem = name.rpartition(".")[0]
    return folder + slash + (stem or name)


def _listed(folder: Folder, dataset: Dataset) -> Iterator[list[Entry]]:
    try:
        yield from folder.pages()
    except StorageError as error:
        what = f'the references of "{dataset.name}"'
        if not dataset.private:
            raise type(error)(f"{what}: {error}") from error
        kind = type(error.__cause__ or error).__name__
        raise StorageError(f"cannot list {what}, a private dataset: {kind}") from None


def _is_image(entry: Entry) -> bool:
    return not entry.is_unreadable and not is_no_image(entry.key)
