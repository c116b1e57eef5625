"""Originals that a catalogue leads to, which may be anywhere: also where the output is."""

from __future__ import annotations

from functools import lru_cache

from pipeline.errors import JobError
from pipeline.ledger.layout import Layout
from pipeline.ledger.run_folder import RunFolder
from pipeline.privacy.naming import SourceLocator
from pipeline.storage.folder import Folder
from pipeline.storage.places import contains
from pipeline.units import Source


class Originals:
    """``refuse(source)``: ``JobError`` where an image of an archive is stored inside the output.

    What is in the folder of a dataset itself was looked at before: ``pipeline.ledger.overlap``.
    """

    def __init__(self, run: RunFolder, locator: SourceLocator) -> None:
        self._locator, self._output = locator, run.job.output
        self._seen: tuple[str, str] | None = None
        self._is_inside = lru_cache(4096)(lambda url, profile: _is_inside(run.layout, url, profile))

    def refuse(self, source: Source) -> None:
        """By the place of the object that it is read from."""
        if not source.at and not source.sealed:
            return
        folder_of_it = (source.dataset, source.at.rpartition("/")[0])
        if source.at and folder_of_it == self._seen:
            return  # as the one before it
        self._seen = folder_of_it
        archive, at = self._locator.locate(source)
        place = archive.place(at)
        if place is None:
            return
        folder, key = place
        above = folder.child(key.rpartition("/")[0]) if "/" in key else folder
        if self._is_inside(above.url, above.profile):
            shown = "an image of a private dataset" if source.sealed else archive.uri(at)
            raise JobError(
                f"output: {shown}, of the dataset {source.dataset!r}, is inside {self._output}: results "
                "could be written over originals; choose a place outside"
            )


def _is_inside(layout: Layout, url: str, profile: str | None) -> bool:
    return contains(layout.folder, Folder(url, profile))
