"""Sources that would write one object, found before anything is done."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import numpy as np

from pipeline.errors import JobError
from pipeline.formats import FORMATS
from pipeline.hashing import seed_of
from pipeline.jobs.job import Job
from pipeline.units import Source


class Collisions:
    """The one way two sources could write one object: ``a`` becomes ``a.png``, which is there too."""

    def __init__(self, job: Job) -> None:
        name = job.stored_format
        self._extensions = FORMATS[name].extensions if name else ()
        self._stems = array("q")  # 8 bytes a source, so that ten million fit

    def add(self, source: Source) -> None:
        """Notes a source while the store is listed."""
        if self._extensions and source.key.endswith(self._extensions[0]):
            self._stems.append(seed_of(source.dataset, source.key.removesuffix(self._extensions[0])))

    def refuse(self, sources: Iterable[Source]) -> None:
        """``JobError`` that names the first two of ``sources``, all that were added, that would meet."""
        stems = np.unique(np.array(self._stems, np.int64))
        if not len(stems):
            return
        for source in sources:
            if source.key.lower().endswith(self._extensions):
                continue
            stem = seed_of(source.dataset, source.key)
            if stems[min(int(np.searchsorted(stems, stem)), len(stems) - 1)] == stem:
                raise JobError(
                    f"datasets: {source.dataset!r} holds {source.key!r} and "
                    f"{source.key + self._extensions[0]!r}, which would become one output; "
                    "give them different datasets by pattern"
                )
