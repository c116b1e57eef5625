"""Sources that would write one object, found before anything is done."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

import numpy as np
import pyarrow.compute as pc

from pipeline.errors import JobError
from pipeline.formats import FORMATS
from pipeline.jobs.job import Job
from pipeline.planning.hashes import hashed, is_among
from pipeline.planning.plan_files import read_batches
from pipeline.storage.entries import Entries
from pipeline.storage.folder import Folder
from pipeline.storage.folding import Fold, folding_of
from pipeline.storage.keys import with_extension


class Collisions:
    """Two sources can write one object in two ways: ``a`` becomes ``a.png``, which is there too; and the
    output's disk takes ``A.png`` and ``a.png`` for one file."""

    def __init__(self, job: Job, output: Folder) -> None:
        name = job.stored_format
        self._extensions = FORMATS[name].extensions if name else ()
        self._fold = folding_of(output)
        # What these end in, from their last dot on, is an ending of the output's format by itself.
        self._plain = {each for each in self._extensions if each.rfind(".") == 0}
        self._is_extended = False

    def note(self, page: Entries) -> None:
        """A page of the listing: where all keys end as the output's do, none of them gets an ending."""
        self._is_extended |= not page.endings <= self._plain

    def refuse(self, folder: Folder) -> None:
        """``JobError`` that names the first two of the plan's sources that would meet."""
        if self._fold is not None:
            self._refuse_folded(folder, self._fold)
        elif self._extensions and self._is_extended:
            self._refuse_extended(folder)

    def _refuse_folded(self, folder: Folder, fold: Fold) -> None:
        names = (self._written(fold, dataset, key) for dataset, key in _planned(folder, sealed=False))
        found = np.array(array("q", map(hash, names)), np.int64)  # 8 bytes a source, so that ten million fit
        values, counts = np.unique(found, return_counts=True)
        met = frozenset(values[counts > 1].tolist())
        if not met:
            return
        seen: dict[tuple[str, str], tuple[str, str]] = {}
        for dataset, key in _planned(folder, sealed=False):
            written = self._written(fold, dataset, key)
            if hash(written) in met and (other := seen.setdefault(written, (dataset, key))) != (
                dataset,
                key,
            ):
                one, two = (f"{key!r} of {dataset!r}" for dataset, key in (other, (dataset, key)))
                raise JobError(
                    f"datasets: the output's disk takes the names of {one} and {two} for one; "
                    "write to another disk or store, or give them different datasets by pattern"
                )

    def _refuse_extended(self, folder: Folder) -> None:
        end = self._extensions[0]
        named = (each for each in _planned(folder) if each[1].endswith(end))
        stems = hashed([((dataset, key.removesuffix(end)) for dataset, key in named)])
        if not len(stems):
            return
        for dataset, key in _planned(folder):
            if not key.lower().endswith(self._extensions) and is_among((dataset, key), stems):
                raise JobError(
                    f"datasets: {dataset!r} holds {key!r} and {key + self._extensions[0]!r}, which would "
                    "become one output; give them different datasets by pattern"
                )

    def _written(self, fold: Fold, dataset: str, key: str) -> tuple[str, str]:
        return fold(dataset), fold(with_extension(key, self._extensions) if self._extensions else key)


def _planned(folder: Folder, sealed: bool = True) -> Iterator[tuple[str, str]]:
    """Dataset and key of each source; with or without those whose keys are opaque ids."""
    for batch in read_batches(folder, columns=["dataset", "key", "sealed"]):
        rows = batch if sealed else batch.filter(pc.equal(batch["sealed"], ""))
        yield from zip(rows["dataset"].to_pylist(), rows["key"].to_pylist(), strict=True)
