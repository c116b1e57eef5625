"""Images of a run fetched once more for its report, with what was given beside them: masks and frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.ledger.run_folder import RunFolder
from pipeline.planning.plan_files import read_sources_named
from pipeline.privacy.naming import SourceLocator
from pipeline.processing.cases import Loaded
from pipeline.report.doubt_picture import Named
from pipeline.worker.loading import Loader

MOST_PIXELS = 1 << 24
"""Larger images are not made again for a picture of a few hundred pixels."""
MOST_BYTES = 1 << 28
"""Larger files are not read for a picture."""


@dataclass(frozen=True)
class ShownImages:
    """``for name, loaded in images(names)``: those that can still be had, and whose pixels may be shown.

    A name, dataset and key, comes once for each of its sources: where several folders are scored there is
    one a folder.
    """

    run: RunFolder
    table: pa.Table

    def __call__(self, names: Iterable[Named]) -> Iterator[tuple[Named, Loaded]]:
        """In the order of the names."""
        wanted = dict.fromkeys(names)
        ids = {name: self._source_ids(name) for name in wanted}
        sources = {
            each.source_id: each
            for each in read_sources_named(self.run.folder, {one for some in ids.values() for one in some})
            # Pixels can name a patient as well as a header can: names burnt in, faces.
            if not each.sealed and each.size <= MOST_BYTES
        }
        most = min(MOST_PIXELS, self.run.job.limits.max_pixels)
        limits = self.run.job.limits.model_copy(update={"max_pixels": most})
        job = self.run.job.model_copy(update={"limits": limits})
        loader = Loader(job, SourceLocator(job))
        for name in wanted:
            for source in (sources[each] for each in ids[name] if each in sources):
                loaded = loader.load(source)
                if isinstance(loaded, Loaded):  # the page goes without a picture that cannot be had any more
                    yield name, loaded

    def _source_ids(self, name: Named) -> list[str]:
        dataset, key = name
        mine = pc.and_(pc.equal(self.table["dataset"], dataset), pc.equal(self.table["key"], key))
        return sorted(set(self.table["source_id"].filter(mine).to_pylist()))
