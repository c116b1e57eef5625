"""Private datasets: what could name a patient stays out of everything but the restored objects.

Declared per dataset, never guessed from the pixels: by the time an object is known to be DICOM, its name
stands in the plan. So names that look medical in a dataset that declares nothing stop the run before
anything is written, and medical content under a harmless name is quarantined as ``NOT_PRIVATE``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.jobs.job import Dataset, Job
from pipeline.privacy.key import PrivacyKey, load_key, revealed
from pipeline.storage.folder import Folder, absolute_url

if TYPE_CHECKING:
    pass


def sealed(job: Job) -> Job:
    """The job as it may be written down: addresses and patterns of private datasets sealed.

    Raises ``JobError`` where there is a private dataset and no key.
    """
    if not any(each.private for each in job.datasets):
        return job
    key = load_key(_first_private(job))
    return job.model_copy(
        update={"datasets": tuple(_sealed(each, key) if each.private else each for each in job.datasets)}
    )


def _sealed(dataset: Dataset, key: PrivacyKey) -> Dataset:
    uri = key.seal(absolute_url(dataset.uri))
    pattern = dataset.pattern if dataset.pattern == "*" else key.seal(dataset.pattern)
    return dataset.model_copy(update={"uri": uri, "pattern": pattern})


def fingerprints(job: Job) -> dict[str, str]:
    """Private dataset -> fingerprint of the key: another key means other ids, so it is of the recipe."""
    names = [each.name for each in job.datasets if each.private]
    return dict.fromkeys(names, load_key(_first_private(job)).fingerprint) if names else {}


def _first_private(job: Job) -> str:
    index = next(i for i, each in enumerate(job.datasets) if each.private)
    return f"datasets[{index}]: private datasets"


def folder_of(dataset: Dataset) -> Folder:
    """Where a dataset's objects lie; the address opened where it is sealed."""
    return Folder(revealed([dataset.uri])[0], dataset.profile)


def described(dataset: Dataset) -> str:
    """A dataset in a message: its name, and its address where that may be told."""
    if dataset.private:
        return f'the private dataset "{dataset.name}"'
    return f"{dataset.uri} (pattern {dataset.pattern!r})"
