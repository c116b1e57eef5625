"""Tar shards: every image a member, read by its place in the shard."""

from __future__ import annotations

from pipeline.doors.archive import Archive
from pipeline.doors.base import Door
from pipeline.doors.tar.archive import TarArchive
from pipeline.doors.tar.outlet import TarOutlet
from pipeline.errors import FolderNotFound
from pipeline.jobs.datasets import Dataset
from pipeline.storage.folder import Folder
from pipeline.storage.patterns import only


def _open(dataset: Dataset, url: str) -> Archive:
    if not url.lower().endswith(".tar"):
        return TarArchive(Folder(url, dataset.profile), check=dataset)
    folder, _, name = Folder(url, dataset.profile).url.rpartition("/")
    above = Folder(folder, dataset.profile)
    if not above.exists(name):
        raise FolderNotFound(f"cannot list {url}: no such file; check the address")
    return TarArchive(above, only(name), check=dataset)


TAR = Door(
    name="tar",
    summary="tar shards (WebDataset), one member an image; results are shards of the same names",
    claims=lambda url: url.lower().endswith(".tar"),
    open=_open,
    writes="tar",
    wants="tar",
    outlet=lambda folder, job: TarOutlet(folder),
)
