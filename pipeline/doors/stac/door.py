"""Catalogues of satellite images (STAC): every item an image."""

from __future__ import annotations

from pipeline.doors.archive import Archive
from pipeline.doors.base import Door
from pipeline.doors.stac.archive import StacArchive
from pipeline.doors.stac.outlet import StacOutlet
from pipeline.jobs.datasets import Dataset
from pipeline.jobs.stores import is_stac


def _open(dataset: Dataset, url: str) -> Archive:
    return StacArchive(dataset, url)


STAC = Door(
    name="stac",
    summary="STAC: a catalogue, ItemCollection or stac-geoparquet, one item an image; results with items",
    claims=is_stac,
    open=_open,
    writes="stac",
    wants="stac",
    outlet=lambda folder, job: StacOutlet(folder),
    tells=True,
)
