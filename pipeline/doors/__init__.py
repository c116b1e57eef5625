"""The doors of archives: how the images of a dataset are listed and read, whatever they are kept in."""

from __future__ import annotations

from pipeline.doors.archive import Archive
from pipeline.doors.base import Door
from pipeline.doors.bids.door import BIDS
from pipeline.doors.dicomweb.door import DICOMWEB
from pipeline.doors.folder import FOLDER
from pipeline.doors.manifest.door import MANIFEST
from pipeline.doors.outlet import Outlet
from pipeline.doors.pages.door import PAGES
from pipeline.doors.stac.door import STAC
from pipeline.doors.tar.door import TAR
from pipeline.doors.zarr.door import ZARR
from pipeline.errors import JobError
from pipeline.jobs.job import Dataset, Job
from pipeline.jobs.stores import AnyStore
from pipeline.storage.folder import Folder

__all__ = [
    "DOORS",
    "FOLDER",
    "default_store",
    "door_of",
    "is_archive",
    "open_archive",
    "outlet_name",
    "outlet_of",
]

DOORS: dict[str, Door] = {
    each.name: each for each in (TAR, STAC, MANIFEST, DICOMWEB, ZARR, BIDS, PAGES, FOLDER)
}
"""Every door, by the name that jobs use; the first whose address it is opens it, where the job names none."""


def door_of(dataset: Dataset, url: str) -> Door:
    """The door of a dataset at an address."""
    if dataset.store is not None:
        return DOORS[dataset.store.name]
    return next(each for each in DOORS.values() if each.claims(url))


def default_store(dataset: Dataset, url: str) -> AnyStore | None:
    """What the address of a dataset says in place of its ``store``; ``None`` for a folder."""
    door = door_of(dataset, url)
    return (
        None
        if door is FOLDER
        else Dataset.model_validate({"name": "any", "uri": url, "store": door.name}).store
    )


def is_archive(url: str) -> bool:
    """Whether the address alone says that it is more than a folder."""
    return any(each is not FOLDER and each.claims(url) for each in DOORS.values())


def open_archive(dataset: Dataset, url: str) -> Archive:
    """The archive of a dataset at an address. ``StorageError`` where nothing installed understands it."""
    door = door_of(dataset, url)
    if dataset.carry and door is not MANIFEST:
        raise JobError(f'dataset "{dataset.name}": carry: a {door.name} has no columns; leave it out')
    return door.open(dataset, url)


def outlet_name(job: Job) -> str:
    """The door whose results a job writes: the one it names, else that of its datasets where all agree."""
    if job.kind == "benchmark":
        return FOLDER.name
    if job.output_store is not None:
        return job.output_store.name
    names = {_written_as(each) for each in job.datasets}
    return names.pop() if len(names) == 1 else FOLDER.name


def _written_as(dataset: Dataset) -> str:
    door = door_of(dataset, dataset.uri)
    return FOLDER.name if dataset.private and DOORS[door.writes].tells else door.writes


def outlet_of(job: Job, folder: Folder) -> Outlet:
    """What writes and reads the results of a job below a folder."""
    build = DOORS[outlet_name(job)].outlet
    assert build is not None, "the recipe was checked"
    return build(folder, job)
