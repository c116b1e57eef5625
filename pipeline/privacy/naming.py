"""The names of sources: an identity for every object, an opaque id where a name could tell a patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import pyarrow as pa

from pipeline.addresses import redacted
from pipeline.attached import Attached
from pipeline.doors.archive import Archive
from pipeline.doors.manifest.place import key_of, place_of
from pipeline.hashing import short_hash
from pipeline.jobs.job import Dataset, Job
from pipeline.privacy.datasets import archive_of, conditions_of, key_for, references_of
from pipeline.privacy.many_names import short_hashes
from pipeline.privacy.medical import MEDICAL_ENDINGS, other_endings
from pipeline.storage.base import Entry
from pipeline.storage.entries import Entries
from pipeline.storage.folder import Folder
from pipeline.units import Source

_KINDS = {"size": pa.int64()}


class SourceLocator:
    """From objects of a job's datasets to sources, and back: ``identify`` and ``locate``.

    Raises ``JobError`` where a dataset is private and there is no key.
    """

    def __init__(self, job: Job) -> None:
        self._archives = {each.name: archive_of(each) for each in job.datasets}
        self._beside = {each.name: _folders_beside(each) for each in job.datasets}
        self._profiles = {each.name: each.profile for each in job.datasets}
        self._key = key_for(job)
        self._paged = frozenset(each.name for each in job.datasets if each.is_of_pages)
        self._private = frozenset(each.name for each in job.datasets if each.private)

    def identify(self, dataset: Dataset | str, entry: Entry) -> Source:
        """A listed object with its identity; of a private dataset, one that tells neither name nor time."""
        name = dataset if isinstance(dataset, str) else dataset.name
        # Dataset and key decide the seed, so the same object under another name is another source.
        parts: tuple[str, ...] = (name, self._archives[name].url, entry.key, entry.version)
        parts += (entry.attached,) if entry.attached else ()
        hashed = self._key.id_of if self._key is not None and name in self._private else short_hash
        # A group's name is a UID, a bundle's tells place and time: both are hashed.
        source = Source(
            name,
            entry.key,
            entry.size,
            entry.version,
            hashed(*parts),
            group=hashed("group", name, entry.group) if entry.group else "",
            attached=entry.attached,
            at=entry.at,
            bundle=hashed("bundle", name, self._archives[name].url, entry.bundle) if entry.bundle else "",
        )
        return self._sealed(source) if name in self._private else source

    def identify_all(self, dataset: Dataset, page: Entries) -> dict[str, pa.Array]:
        """The same of a page, as columns by the names of ``Source``'s fields."""
        name = dataset.name
        if name in self._private:
            return columns_of([self.identify(dataset, entry) for entry in page])
        url, empty = self._archives[name].url, pa.repeat(pa.scalar(""), len(page))
        columns = dict.fromkeys(("group", "bundle", "sealed"), empty)
        for each in ("key", "version", "attached", "at"):
            column = page.given(each)
            columns[each] = empty if column is None else pa.array(column, pa.string())
        attached = columns["attached"] if page.given("attached") else None
        columns["source_id"] = short_hashes((name, url), (columns["key"], columns["version"]), attached)
        for each, parts in (("group", (name,)), ("bundle", (name, url))):
            if given := page.given(each):
                names = {text: text and short_hash(each, *parts, text) for text in set(given)}
                columns[each] = pa.array([names[text] for text in given], pa.string())
        columns["dataset"] = pa.repeat(pa.scalar(name), len(page))
        return columns | {"size": pa.array(page.sizes, pa.int64())}

    def _sealed(self, source: Source) -> Source:
        assert self._key is not None
        opaque = self._key.id_of(source.dataset, source.key) + ending_of(source.key)
        sealed, attached = (
            text and self._key.seal(text) for text in (source.at or source.key, source.attached)
        )
        return replace(source, key=opaque, version="", at="", sealed=sealed, attached=attached)

    def locate(self, source: Source) -> tuple[Archive, str]:
        """The archive of a source, and what it is read by there."""
        archive = self._archives[source.dataset]
        if not source.sealed:
            return archive, source.at or source.key
        assert self._key is not None
        return archive, self._key.reveal(source.sealed)

    def attached(self, source: Source) -> Attached:
        """What belongs to a source beside its own object."""
        if not source.sealed or not source.attached:
            return Attached.of(source.attached)
        assert self._key is not None
        return Attached.of(self._key.reveal(source.attached))

    def beside(self, source: Source, address: str) -> tuple[Folder, str]:
        """The folder of an attached object, and its key there, by its address."""
        within = [each for each in self._beside[source.dataset] if address.startswith(f"{each.url}/")]
        if not within:
            return place_of(address, self._profiles[source.dataset])
        folder = max(within, key=lambda each: len(each.url))
        return folder, address.removeprefix(f"{folder.url}/")

    def frame(self, source: Source, address: str) -> tuple[Archive, str]:
        """Where another frame of its scene is read: a page through the archive that knows it."""
        if source.dataset in self._paged:
            return self._archives[source.dataset], address
        return self.beside(source, address)

    def reference_key(self, source: Source) -> str:
        """The key of a source's reference as rows may tell it: an opaque id where the source is private."""
        address = self.attached(source).reference
        if not source.sealed:
            within = any(address.startswith(f"{each.url}/") for each in self._beside[source.dataset])
            return self.beside(source, address)[1] if within else key_of(address)
        assert self._key is not None
        return self._key.id_of("reference", address) + ending_of(address)

    def public_uri(self, source: Source) -> str | None:
        """The address of a source as rows may tell it; ``None`` where it is private."""
        if source.sealed:
            return None
        return _told(self._archives[source.dataset].uri(source.at or source.key))

    def reference_uri(self, source: Source) -> str | None:
        """The same of its reference."""
        return None if source.sealed else _told(self.attached(source).reference)

    def group_of(self, dataset: Dataset, *names: str) -> str:
        """A name for a group of sources. Keyed where private: a UID is a name that other archives know."""
        hashed = self._key.id_of if self._key is not None and dataset.private else short_hash
        return hashed(*names)


def columns_of(sources: Sequence[Source]) -> dict[str, pa.Array]:
    """Sources as columns, by the names of their fields."""
    return {
        each.name: pa.array(
            [getattr(source, each.name) for source in sources], _KINDS.get(each.name, pa.string())
        )
        for each in fields(Source)
    }


def _told(address: str) -> str:
    """A web server's listing may hand out signed links; in other stores "?" is a part of a name."""
    return redacted(address) if address.startswith("http") else address


def _folders_beside(dataset: Dataset) -> list[Folder]:
    references = references_of(dataset)
    others = [folder for _, folder in conditions_of(dataset).values()]
    return others if references is None else [references, *others]


def ending_of(key: str) -> str:
    """The known extension of a key, which an opaque id may keep; empty for any other."""
    name = key.lower()
    return next((end for end in (*MEDICAL_ENDINGS, *other_endings()) if name.endswith(end)), "")
