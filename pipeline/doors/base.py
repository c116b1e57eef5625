"""What a door is: a kind of archive, how it is read, and how results are written as one.

A door changes neither job nor ledger: it hands over images, each with an identity, and their bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.doors.archive import Archive
from pipeline.doors.outlet import Outlet
from pipeline.jobs.datasets import Dataset
from pipeline.jobs.job import Job
from pipeline.storage.folder import Folder


@dataclass(frozen=True)
class Door:
    """A kind of archive."""

    name: str
    summary: str
    """What it reads and writes, in one line, for ``restora list stores``."""
    claims: Callable[[str], bool]
    """Whether an address alone says that it is such an archive."""
    open: Callable[[Dataset, str], Archive]
    """The archive of a dataset at an address: the dataset's own may be sealed."""
    writes: str = "folder"
    """What results of such an archive are written as, where the job does not say it: the name of a door."""
    outlet: Callable[[Folder, Job], Outlet] | None = None
    """Writes results of a job as such an archive, below a folder; ``None`` for a door that only reads."""
    wants: str | None = None
    """The door that images must come through to be written as this; ``None``: any."""
    tells: bool = False
    """Whether results written as it say what was taken where and when; those of private datasets are not."""
    extra: str = ""
    """What has to be installed: ``pip install 'restora[extra]'``; empty where nothing has."""
