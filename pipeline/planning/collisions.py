"""Sources that would write one object, found before anything is done."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import JobError
from pipeline.formats import FORMATS
from pipeline.hashing import seed_of
from pipeline.jobs.job import Job
from pipeline.planning.plan_files import read_batches
from pipeline.storage.folder import Folder
from pipeline.units import Source


class Collisions:
    """The one way two sources could write one object: ``a`` becomes ``a.png``, which is there too."""

    def __init__(self, job: Job) -> None:
        name = job.stored_format
        self._extensions = FORMATS[name].extensions if name else ()
        self._stems = array("q")  # 8 bytes a source, so that ten million fit

    def add(self, sources: Iterable[Source]) -> None:
        """Notes sources while the store is listed."""
        if not self._extensions:
            return
        end = self._extensions[0]
        found = (source for source in sources if source.key.endswith(end))
        self._stems.extend(seed_of(source.dataset, source.key.removesuffix(end)) for source in found)

    def refuse(self, folder: Folder) -> None:
        """``JobError`` that names the first two of the plan's sources that would meet; all were added."""
        stems = np.unique(np.array(self._stems, np.int64))
        if not len(stems):
            return
        for batch in read_batches(folder, columns=["dataset", "key"]):
            for dataset, key in zip(batch["dataset"].to_pylist(), batch["key"].to_pylist(), strict=True):
                if not key.lower().endswith(self._extensions):
                    self._refuse(dataset, key, stems)

    def _refuse(self, dataset: str, key: str, stems: NDArray[np.int64]) -> None:
        stem = seed_of(dataset, key)
        if stems[min(int(np.searchsorted(stems, stem)), len(stems) - 1)] == stem:
            raise JobError(
                f"datasets: {dataset!r} holds {key!r} and {key + self._extensions[0]!r}, which would become "
                "one output; give them different datasets by pattern"
            )
