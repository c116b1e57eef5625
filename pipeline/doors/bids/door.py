"""Datasets in the Brain Imaging Data Structure (BIDS)."""

from __future__ import annotations

from pipeline.doors.archive import Archive
from pipeline.doors.base import Door
from pipeline.doors.bids.archive import BidsArchive
from pipeline.doors.bids.outlet import BidsOutlet
from pipeline.doors.outlet import Outlet
from pipeline.errors import JobError
from pipeline.jobs.datasets import Dataset
from pipeline.jobs.job import Job
from pipeline.jobs.stores import BidsStore
from pipeline.storage.folder import Folder


def _open(dataset: Dataset, url: str) -> Archive:
    store = dataset.store if isinstance(dataset.store, BidsStore) else BidsStore(name="bids")
    return BidsArchive(Folder(url, dataset.profile), store)


def _outlet(folder: Folder, job: Job) -> Outlet:
    if job.output_format not in (None, "nifti"):
        raise JobError(
            f'output_format: BIDS keeps images as they are, not as "{job.output_format}"; leave it out, or '
            'write output_store = "folder"'
        )
    return BidsOutlet(folder, job)


BIDS = Door(
    name="bids",
    summary="a BIDS dataset, images by suffix, datatype and entities; results are derivatives with sidecars",
    claims=lambda url: False,
    open=_open,
    writes="bids",
    wants="bids",
    outlet=_outlet,
    tells=True,
)
