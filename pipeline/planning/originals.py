"""Originals that a catalogue leads to, which may be anywhere: also where the output is."""

from __future__ import annotations

from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import JobError
from pipeline.ledger.layout import Layout
from pipeline.ledger.run_folder import RunFolder
from pipeline.planning.plan_files import sources_of
from pipeline.privacy.naming import SourceLocator
from pipeline.storage.folder import Folder
from pipeline.storage.places import contains
from pipeline.units import Source


class Originals:
    """``refuse(rows)``: ``JobError`` where an image of an archive is stored inside the output.

    What is in the folder of a dataset itself was looked at before: ``pipeline.ledger.overlap``.
    """

    def __init__(self, run: RunFolder, locator: SourceLocator) -> None:
        self._locator, self._output = locator, run.job.output
        self._is_inside = lru_cache(4096)(lambda url, profile: _is_inside(run.layout, url, profile))

    def refuse(self, rows: pa.Table) -> None:
        """Rows of one dataset's sources, each by the place of the object that it is read from; of those in
        one folder the first."""
        if not pc.any(pc.or_(pc.not_equal(rows["at"], ""), pc.not_equal(rows["sealed"], ""))).as_py():
            return
        ats, sealed = rows["at"].to_pylist(), rows["sealed"].to_pylist()
        folders: dict[str, int] = {}
        for place, at in enumerate(ats):
            if at:
                folders.setdefault(at.rpartition("/")[0], place)
        alone = [place for place, at in enumerate(ats) if not at and sealed[place]]
        for source in sources_of(rows.take(pa.array(sorted((*folders.values(), *alone)), pa.int64()))):
            self._refuse(source)

    def _refuse(self, source: Source) -> None:
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
