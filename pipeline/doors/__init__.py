"""The doors of archives: how the images of a dataset are listed and read, whatever they are kept in."""

from __future__ import annotations

from pipeline.doors.base import Archive, Door
from pipeline.doors.folder import FOLDER
from pipeline.doors.manifest.door import MANIFEST
from pipeline.doors.tar.door import TAR
from pipeline.errors import JobError
from pipeline.jobs.datasets import Dataset

__all__ = ["DOORS", "FOLDER", "door_of", "is_archive", "open_archive"]

DOORS: dict[str, Door] = {each.name: each for each in (TAR, MANIFEST, FOLDER)}
"""Every door, by the name that jobs use; the first whose address it is opens it, where the job names none."""


def door_of(dataset: Dataset, url: str) -> Door:
    """The door of a dataset at an address."""
    if dataset.store is not None:
        return DOORS[dataset.store.name]
    return next(each for each in DOORS.values() if each.claims(url))


def is_archive(url: str) -> bool:
    """Whether the address alone says that it is more than a folder."""
    return any(each is not FOLDER and each.claims(url) for each in DOORS.values())


def open_archive(dataset: Dataset, url: str) -> Archive:
    """The archive of a dataset at an address. ``StorageError`` where nothing installed understands it."""
    door = door_of(dataset, url)
    if dataset.carry and door is not MANIFEST:
        raise JobError(f'dataset "{dataset.name}": carry: a {door.name} has no columns; leave it out')
    return door.open(dataset, url)
