"""Files of several frames: pages of a TIFF, frames of an animation or a DICOM object, each an image."""

from __future__ import annotations

from pipeline.doors.archive import Archive
from pipeline.doors.base import Door
from pipeline.doors.pages.archive import PagesArchive
from pipeline.jobs.datasets import Dataset
from pipeline.storage.folder import Folder


def _open(dataset: Dataset, url: str) -> Archive:
    return PagesArchive(Folder(url, dataset.profile))


PAGES = Door(
    name="pages",
    summary="a folder whose TIFF, GIF, PNG, WebP, DICOM, NIfTI hold several images; each result is a file",
    claims=lambda url: False,
    open=_open,
)
"""Only where a job asks for it: else a file is an image, and one of several is refused."""
