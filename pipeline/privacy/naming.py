"""The names of sources: an identity for every object, an opaque id where a name could tell a patient."""

from __future__ import annotations

from pipeline.hashing import short_hash
from pipeline.privacy.key import PrivacyKey
from pipeline.privacy.medical import MEDICAL_ENDINGS, OTHER_ENDINGS
from pipeline.storage.base import Entry
from pipeline.storage.folder import Folder
from pipeline.units import Source


def source_of(dataset: str, folder: Folder, entry: Entry, hidden: PrivacyKey | None = None) -> Source:
    """A listed object with its identity; with a key, one that tells neither its name nor its time."""
    # Dataset and key decide the seed, so the same object under another name is another source.
    parts = (dataset, folder.url, entry.key, entry.version)
    if hidden is None:
        return Source(dataset, entry.key, entry.size, entry.version, short_hash(*parts))
    name = hidden.id_of(dataset, entry.key) + ending_of(entry.key)
    return Source(dataset, name, entry.size, "", hidden.id_of(*parts), sealed=hidden.seal(entry.key))


_ENDINGS = (*MEDICAL_ENDINGS, *OTHER_ENDINGS)


def ending_of(key: str) -> str:
    """The known extension of a key, which an opaque id may keep; empty for any other."""
    name = key.lower()
    return next((end for end in _ENDINGS if name.endswith(end)), "")
