"""A BIDS dataset as an archive: the images of its subjects that a job wants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import IO

from pipeline.doors.bids.names import IMAGES, BidsName
from pipeline.hashing import short_hash
from pipeline.jobs.stores import BidsStore
from pipeline.storage.base import Entry
from pipeline.storage.folder import Folder
from pipeline.storage.patterns import matcher

ELSEWHERE = "files outside the folders of subjects, such as those of derivatives, sourcedata and code"
"""What a listing leaves out and counts."""
BESIDE = "files beside images, such as sidecars and tables"
NAMELESS = "images whose names are not of BIDS"
FILTERED = "images that suffixes, datatypes and entities leave out"
MASKS = "masks and labels, which are no images; name their suffix to have them"

_MASKS = ("mask", "dseg", "probseg")


class BidsArchive:
    """Images by suffix, datatype and entities; keys are those of the dataset."""

    def __init__(self, folder: Folder, store: BidsStore) -> None:
        self.folder, self._store = folder, store

    @property
    def url(self) -> str:
        """Of the dataset."""
        return self.folder.url

    def pages(self, pattern: str = "*", left_out: Counter[str] | None = None) -> Iterator[list[Entry]]:
        """In order of key. A sidecar of the very same name is a part of what an image is."""
        counts: Counter[str] = Counter() if left_out is None else left_out
        matches, sidecar = matcher(pattern), ("", "")
        for page in self.folder.pages("*", counts):
            chosen = []
            for entry in page:
                if entry.is_unreadable:
                    chosen.append(entry)
                elif reason := self._left_out(entry.key):
                    counts[reason] += 1
                    if entry.key.endswith(".json"):  # stands before its image, in order of key
                        sidecar = entry.key.removesuffix(".json"), entry.version
                elif matches(entry.key):
                    chosen.append(_with_sidecar(entry, *sidecar))
            if chosen:
                yield chosen

    def _left_out(self, key: str) -> str:
        if not key.startswith("sub-") or "/" not in key:
            return ELSEWHERE
        if not key.endswith(IMAGES):
            return BESIDE
        name = BidsName.of(key)
        if name is None or not name.is_image:
            return NAMELESS
        if name.suffix in _MASKS and name.suffix not in self._store.suffixes:
            return MASKS
        return "" if self._is_wanted(name) else FILTERED

    def _is_wanted(self, name: BidsName) -> bool:
        store = self._store
        if store.suffixes and name.suffix not in store.suffixes:
            return False
        if store.datatypes and name.datatype not in store.datatypes:
            return False
        return all(name.entities.get(short) in labels for short, labels in store.labels.items())

    def uri(self, at: str) -> str:
        """Of the file."""
        return self.folder.uri(at)

    def read(self, at: str) -> bytes:
        """The file."""
        return self.folder.read(at)

    def head(self, at: str, length: int) -> bytes:
        """Its first bytes."""
        return self.folder.head(at, length)

    def open(self, at: str) -> IO[bytes]:
        """The file."""
        return self.folder.open(at)

    def place(self, at: str) -> tuple[Folder, str] | None:
        """Itself."""
        return self.folder, at

    def entry(self, at: str) -> Entry:
        """Without a version, of which the sidecar is a part."""
        return replace(self.folder.entry(at), version="")


def _with_sidecar(entry: Entry, stem: str, version: str) -> Entry:
    is_its_own = bool(stem) and entry.key.startswith(f"{stem}.")
    return replace(entry, version=short_hash(entry.version, version)) if is_its_own else entry
