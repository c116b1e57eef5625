"""Jobs with addresses that mean the same from every folder and on every machine that shares the store.

Imports inside functions keep torch, Ray and tables out of the start-up of every command.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import JobError, StorageError
from pipeline.jobs.conditions import Place, mask_fields
from pipeline.jobs.datasets import SEALED
from pipeline.jobs.job import WEIGHTS, Dataset, Job
from pipeline.jobs.stores import ManifestStore
from pipeline.storage.folder import absolute_url
from pipeline.storage.keys import RUN_FOLDER
from pipeline.storage.patterns import only

if TYPE_CHECKING:
    from flows.cli.arguments import Collection
    from pipeline.ledger.run_folder import RunFolder


def absolute(job: Job) -> Job:
    """The job with local paths made absolute, and those of private datasets sealed.

    Raises ``JobError`` for a URL with a password in it, and for a private dataset without a key.
    """
    restorers = (
        each if each.weights is None else each.model_copy(update={"weights": _absolute(each.weights)})
        for each in job.restorers
    )
    datasets = (_placed(each) for each in job.datasets)
    placed = job.model_copy(
        update={
            "output": _absolute(job.output),
            "calibration": _file(job.calibration),
            "datasets": tuple(datasets),
            "restorers": tuple(restorers),
        }
    )
    if not any(each.private for each in job.datasets):
        return placed
    from pipeline.privacy.datasets import seal_job  # with it come the formats

    return seal_job(placed)


def _file(calibration: str | None) -> str | None:
    return calibration if calibration in (None, "none") else _absolute(str(calibration))


def _placed(dataset: Dataset) -> Dataset:
    references = dataset.references
    if references is not None:
        references = references.model_copy(update={"uri": _absolute(references.uri)})
    placed: dict[str, Any] = {"uri": _absolute(dataset.uri), "references": references}
    placed |= {name: _at_absolute(getattr(dataset, name)) for name in ("mask", "operators", "guide")}
    if isinstance(dataset.store, ManifestStore) and dataset.store.base is not None:
        placed["store"] = dataset.store.model_copy(update={"base": _absolute(dataset.store.base)})
    return dataset.model_copy(update=placed)


def _at_absolute(place: Place | None) -> Place | None:
    if place is None:
        return None
    given = {name: _absolute(text) for name, text in place.addresses.items() if name in ("file", "uri")}
    return place.model_copy(update=given)


def open_output(output: str, profile: str | None) -> RunFolder:
    """The run in ``output``, its job pointed at where it is stored now. ``JobError`` where there is none."""
    from pipeline.ledger.run_folder import open_existing

    profile = profile_for(output, profile)
    root = _absolute(output).removesuffix(f"/{RUN_FOLDER}")
    found = open_existing(root, profile)
    return found.at(root, profile)


def dataset_of(source: str, collection: Collection) -> dict[str, Any]:
    """The collection that a command line names: an archive, a folder, or a folder and the one file in it."""
    from pipeline.doors import is_archive

    path, pattern = Path(source), collection.pattern
    is_file = not source.startswith(SEALED) and path.is_file()
    if is_file and collection.store is None and not is_archive(source):
        source, pattern = str(path.parent), only(path.name)
    profile = (
        collection.profile if collection.store == "dicomweb" else profile_for(source, collection.profile)
    )
    place = {"uri": source, "pattern": pattern, "profile": profile}
    policy = {"private": collection.private, "series": str(collection.series), "store": collection.store}
    return {"name": "source", **policy, **place}


def mask_of(told: str | None, holes: str) -> Any:
    """What a command line tells of holes, as a dataset takes it, which refuses colours of what has none.

    ``JobError`` where they are of no mask at all.
    """
    if told is None and holes != "black":
        raise JobError(
            "--holes: has no effect without --mask; give a mask file or folder too, or leave it out"
        )
    return None if told is None else mask_fields(told) | {"holes": holes}


def restorer_of(
    name_or_url: str | None, noise_level: float | None, task: str | None = None
) -> dict[str, Any]:
    """A name of the catalog as it is; an address becomes weights, named by their file; a task its default.

    Raises ``JobError`` unless one of the first two is given.
    """
    if (name_or_url is None) == (task is None):
        raise JobError("--restorer, --task: give one of them; see restora list restorers")
    if name_or_url is None:
        return {"task": task, "noise_level": noise_level}
    if "/" not in name_or_url and not name_or_url.endswith(WEIGHTS):
        return {"name": name_or_url, "noise_level": noise_level}
    path = name_or_url.partition("?")[0] if "://" in name_or_url else name_or_url
    stem = path.rsplit("/", 1)[-1]
    stem = next((stem.removesuffix(end) for end in WEIGHTS if stem.endswith(end)), stem)
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._") or "weights"
    return {"name": name, "weights": name_or_url, "noise_level": noise_level}


def profile_for(url: str, profile: str | None) -> str | None:
    """The profile where the address takes one; local paths and other stores have none."""
    return profile if url.startswith(("s3://", "s3a://", "dicomweb")) else None


def _absolute(url: str) -> str:
    try:
        return absolute_url(url)
    except StorageError as error:
        raise JobError(str(error)) from None
