"""The names of sources: an identity for every object, an opaque id where a name could tell a patient."""

from __future__ import annotations

from pipeline.addresses import redacted
from pipeline.hashing import short_hash
from pipeline.jobs.job import Dataset, Job
from pipeline.privacy.datasets import folder_of, key_for
from pipeline.privacy.medical import MEDICAL_ENDINGS, other_endings
from pipeline.storage.base import Entry
from pipeline.storage.folder import Folder
from pipeline.units import Source


class SourceLocator:
    """From objects of a job's datasets to sources, and back: ``identify`` and ``locate``.

    Raises ``JobError`` where a dataset is private and there is no key.
    """

    def __init__(self, job: Job) -> None:
        self._folders = {each.name: folder_of(each) for each in job.datasets}
        self._key = key_for(job)
        self._private = frozenset(each.name for each in job.datasets if each.private)

    def identify(self, dataset: Dataset | str, entry: Entry) -> Source:
        """A listed object with its identity; of a private dataset, one that tells neither name nor time."""
        name = dataset if isinstance(dataset, str) else dataset.name
        # Dataset and key decide the seed, so the same object under another name is another source.
        parts = (name, self._folders[name].url, entry.key, entry.version)
        if name not in self._private:
            return Source(name, entry.key, entry.size, entry.version, short_hash(*parts))
        assert self._key is not None
        opaque = self._key.id_of(name, entry.key) + ending_of(entry.key)
        return Source(name, opaque, entry.size, "", self._key.id_of(*parts), sealed=self._key.seal(entry.key))

    def locate(self, source: Source) -> tuple[Folder, str]:
        """The folder of a source's object, and its key there."""
        if not source.sealed:
            return self._folders[source.dataset], source.key
        assert self._key is not None
        return self._folders[source.dataset], self._key.reveal(source.sealed)

    def public_uri(self, source: Source) -> str | None:
        """The address of a source as rows may tell it; ``None`` where it is private."""
        if source.sealed:
            return None
        address = self._folders[source.dataset].uri(source.key)
        # A web server's listing may hand out signed links; in other stores "?" is a part of a name.
        return redacted(address) if address.startswith("http") else address

    def group_of(self, dataset: Dataset, *names: str) -> str:
        """A name for a group of sources. Keyed where private: a UID is a name that other archives know."""
        hashed = self._key.id_of if self._key is not None and dataset.private else short_hash
        return hashed(*names)


def ending_of(key: str) -> str:
    """The known extension of a key, which an opaque id may keep; empty for any other."""
    name = key.lower()
    return next((end for end in (*MEDICAL_ENDINGS, *other_endings()) if name.endswith(end)), "")
