"""Zarr: arrays read and written block by block. Nothing is imported before one is asked."""

from __future__ import annotations

from importlib.util import find_spec

from pipeline.doors.archive import Archive
from pipeline.doors.base import Door
from pipeline.doors.outlet import Outlet
from pipeline.errors import JobError
from pipeline.jobs.datasets import Dataset
from pipeline.jobs.job import Job
from pipeline.jobs.stores import ZarrStore
from pipeline.storage.folder import Folder


def _claims(url: str) -> bool:
    return url.lower().rstrip("/").endswith(".zarr")


def _require(where: str) -> None:
    if find_spec("zarr") is None:
        raise JobError(f"{where}: Zarr needs an extra: pip install 'restora[zarr]'")


def options_of(dataset: Dataset) -> ZarrStore:
    """What a dataset says of its arrays."""
    return dataset.store if isinstance(dataset.store, ZarrStore) else ZarrStore(name="zarr")


def _open(dataset: Dataset, url: str) -> Archive:
    _require(f'dataset "{dataset.name}"')
    from pipeline.doors.zarr.archive import ZarrArchive  # start-up: zarr is an extra

    return ZarrArchive(Folder(url, dataset.profile), options_of(dataset))


def _outlet(folder: Folder, job: Job) -> Outlet:
    _require("output_store")
    if any(each.private for each in job.datasets):
        raise JobError(
            "output_store: a Zarr hierarchy keeps the names of its arrays and its attributes, which a "
            'private dataset may not show; write output_store = "folder" and output_format = "tiff"'
        )
    from pipeline.doors.zarr.outlet import ZarrOutlet  # start-up: as above

    return ZarrOutlet(folder, {each.name: (each, options_of(each)) for each in job.datasets})


ZARR = Door(
    name="zarr",
    summary="arrays of a Zarr hierarchy, block by block; results are arrays of the same names",
    claims=_claims,
    open=_open,
    writes="zarr",
    wants="zarr",
    outlet=_outlet,
    extra="zarr",
)
