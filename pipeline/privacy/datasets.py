"""Private datasets: what could name a patient stays out of everything but the restored objects.

Declared per dataset, never guessed from the pixels: by the time an object is known to be DICOM, its name
stands in the plan. So names that look medical in a dataset that declares nothing stop the run before
anything is written, and medical content under a harmless name is quarantined as ``NOT_PRIVATE``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from pipeline.doors import default_store, open_archive
from pipeline.doors.archive import Archive
from pipeline.jobs.conditions import Place
from pipeline.jobs.datasets import References
from pipeline.jobs.frames import FrameRule, is_of_pages
from pipeline.jobs.job import Dataset, Job
from pipeline.jobs.stores import ManifestStore
from pipeline.privacy.key import PrivacyKey, load_key, unseal
from pipeline.storage.folder import Folder, absolute_url

AnyPlace = TypeVar("AnyPlace", bound=Place)


def seal_job(job: Job) -> Job:
    """The job as it may be written down: addresses and patterns of private datasets sealed.

    Raises ``JobError`` where there is a private dataset and no key.
    """
    key = key_for(job)
    if key is None:
        return job
    return job.model_copy(
        update={"datasets": tuple(_seal(each, key) if each.private else each for each in job.datasets)}
    )


def seal_datasets(datasets: Sequence[Dataset], where: str) -> tuple[Dataset, ...]:
    """The datasets as they may be written down: addresses and patterns of private ones sealed.

    Raises ``JobError`` where there is a private one and no key; ``where`` begins its message.
    """
    if not any(each.private for each in datasets):
        return tuple(datasets)
    key = load_key(f"{where}: private datasets")
    return tuple(_seal(each, key) if each.private else each for each in datasets)


def seal_references(references: References, where: str) -> References:
    """The references of private datasets as they may be written down."""
    return _seal_references(references, load_key(f"{where}: private datasets"))


def _seal(dataset: Dataset, key: PrivacyKey) -> Dataset:
    if dataset.store is None:
        # A sealed address says nothing of its door any more.
        dataset = dataset.model_copy(update={"store": default_store(dataset, unseal([dataset.uri])[0])})
    uri = key.seal(absolute_url(dataset.uri))
    pattern = dataset.pattern if dataset.pattern == "*" else key.seal(dataset.pattern)
    sealed: dict[str, Any] = {
        "uri": uri,
        "pattern": pattern,
        "references": dataset.references and _seal_references(dataset.references, key),
        "mask": dataset.mask and _seal_place(dataset.mask, key),
        "operators": dataset.operators and _seal_place(dataset.operators, key),
        "guide": dataset.guide and _seal_place(dataset.guide, key),
        "group": dataset.group and _seal_group(dataset.group, key),
    }
    if isinstance(dataset.store, ManifestStore) and dataset.store.base is not None:
        base = key.seal(absolute_url(dataset.store.base))
        sealed["store"] = dataset.store.model_copy(update={"base": base})
    elif dataset.store is not None:
        sealed["store"] = dataset.store.with_texts(key.seal)
    return dataset.model_copy(update=sealed)


def _seal_place(place: AnyPlace, key: PrivacyKey) -> AnyPlace:
    """Addresses, and rules, which hold parts of names."""
    absolute = {name: absolute_url(text) for name, text in place.addresses.items() if name in ("file", "uri")}
    return place.model_copy(
        update={name: key.seal(absolute.get(name, text)) for name, text in place.addresses.items()}
    )


def _seal_group(group: FrameRule, key: PrivacyKey) -> FrameRule:
    """Rules hold parts of names, but for that of the pages of a file."""
    if group.match is None or is_of_pages(group):
        return group
    return group.model_copy(update={"match": key.seal(group.match)})


def _seal_references(references: References, key: PrivacyKey) -> References:
    """Rules hold parts of names."""
    rules = {name: getattr(references, name) for name in ("match", "reference", "clear")}
    sealed = {name: text and key.seal(text) for name, text in rules.items()}
    return references.model_copy(update={"uri": key.seal(absolute_url(references.uri)), **sealed})


def key_for(job: Job) -> PrivacyKey | None:
    """The key that a job's private datasets need; ``None`` where it has none.

    ``JobError`` that names the first of them where there is no key.
    """
    first = next((index for index, each in enumerate(job.datasets) if each.private), None)
    return None if first is None else load_key(f"datasets[{first}]: private datasets")


def fingerprints(job: Job) -> dict[str, str]:
    """Private dataset -> fingerprint of the key: another key means other ids, so it is of the recipe."""
    key = key_for(job)
    return {each.name: key.fingerprint for each in job.datasets if each.private} if key else {}


def folder_of(dataset: Dataset) -> Folder:
    """Where a dataset's objects are stored; the address opened where it is sealed."""
    return Folder(unseal([dataset.uri])[0], dataset.profile)


def references_of(dataset: Dataset) -> Folder | None:
    """Where a dataset's references are stored, if it has any; the address opened where it is sealed."""
    if dataset.references is None:
        return None
    return Folder(unseal([dataset.references.uri])[0], dataset.references.profile or dataset.profile)


def archive_of(dataset: Dataset) -> Archive:
    """A dataset's images, through the door of their archive."""
    if isinstance(dataset.store, ManifestStore) and dataset.store.base is not None:
        base = dataset.store.model_copy(update={"base": unseal([dataset.store.base])[0]})
        dataset = dataset.model_copy(update={"store": base})
    elif dataset.store is not None:
        opened = dataset.store.with_texts(lambda text: unseal([text])[0])
        dataset = dataset.model_copy(update={"store": opened})
    return open_archive(dataset, unseal([dataset.uri])[0])


def conditions_of(dataset: Dataset) -> dict[str, tuple[Place, Folder]]:
    """The folders of a dataset's masks, kernels and guides, where it has such; sealed addresses opened."""
    places: dict[str, Place | None] = {
        "mask": dataset.mask,
        "kernel": dataset.operators,
        "guide": dataset.guide,
    }
    return {
        name: (place, Folder(unseal([place.uri])[0], place.profile or dataset.profile))
        for name, place in places.items()
        if place is not None and place.uri is not None
    }


def describe_dataset(dataset: Dataset) -> str:
    """A dataset in a message: its name, and its address where that may be told."""
    if dataset.private:
        return f'the private dataset "{dataset.name}"'
    return f"{dataset.uri} (pattern {dataset.pattern!r})"
