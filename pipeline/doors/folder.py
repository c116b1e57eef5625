"""A folder anywhere fsspec reaches, one object an image."""

from __future__ import annotations

from pipeline.doors.archive import Archive
from pipeline.doors.base import Door
from pipeline.doors.outlet import FolderOutlet
from pipeline.jobs.datasets import Dataset
from pipeline.storage.folder import Folder


def _open(dataset: Dataset, url: str) -> Archive:
    return Folder(url, dataset.profile)


FOLDER = Door(
    name="folder",
    summary="objects below an address, one an image; results have the same keys",
    claims=lambda url: True,
    open=_open,
    outlet=lambda folder, job: FolderOutlet(folder),
)
