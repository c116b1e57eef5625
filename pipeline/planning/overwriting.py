"""Objects in the output that no run wrote there are not written over, unless the job says so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import chain, islice

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.doors.outlet import FolderOutlet
from pipeline.errors import JobError, StorageError
from pipeline.formats import FORMATS
from pipeline.jobs.job import NO_DEGRADATION, NO_RESTORER
from pipeline.ledger.committed import Committed
from pipeline.ledger.identities import contains
from pipeline.ledger.run_folder import RunFolder
from pipeline.planning.hashes import hashed, is_among
from pipeline.planning.known import LastPlan
from pipeline.planning.plan_files import read_batches, sources_of
from pipeline.storage.keys import RUN_FOLDER
from pipeline.units import Source
from pipeline.wording import number_of

_FEW = 1000
"""So many new sources are looked up one by one; for more, the output is listed."""
_THREADS = 16


class PlannedBefore:
    """What the last plan listed: objects of these sources are ours, committed or not; 8 bytes each.

    Read when it is first asked, which is where there is something that could be written over.
    """

    def __init__(self, run: RunFolder, last: LastPlan) -> None:
        self._run, self._last = run, last

    @cached_property
    def _known(self) -> NDArray[np.int64]:
        return hashed(map(_names, self._last.batches(["dataset", "key"])))

    @cached_property
    def _bundled(self) -> set[str]:
        if not _is_bundled(self._run):
            return set()
        batches = self._last.batches()
        return {_output_key(self._run, each) for batch in batches for each in sources_of(batch)}

    def others(self, batch: pa.RecordBatch) -> list[Source]:
        """The sources of a batch that it did not list, and that are in no object which it did."""
        new = np.isin(np.fromiter(map(hash, _names(batch)), np.int64, len(batch)), self._known, invert=True)
        sources = sources_of(batch.filter(pa.array(new)))
        if not sources or not self._bundled:
            return sources
        return [each for each in sources if _output_key(self._run, each) not in self._bundled]


def refuse_overwriting(run: RunFolder, before: PlannedBefore, committed: Committed) -> None:
    """``JobError`` that names the first object which is there, is not ours, and would be written over."""
    if not _may_overwrite(run):
        return
    new = (each for batch in _uncommitted(run, committed) for each in before.others(batch))
    few = list(islice(new, _FEW + 1))
    found = _looked_up(run, few) if len(few) <= _FEW else _listed_among(run, chain(few, new))
    if found and (alien := _never_committed(run, found)):
        shown = _output_key(run, alien[0]) if not alien[0].sealed else "of a private dataset"
        raise JobError(
            f"output: {run.job.output} holds {number_of(len(alien), 'object')} that no run wrote there, "
            f"such as {shown}, and they would be written over; choose another output, or write "
            "overwrite = true (--overwrite)"
        )


def _may_overwrite(run: RunFolder) -> bool:
    """Whether objects go where others could be, and the job does not say that they may be written over."""
    return run.job.kind != "benchmark" and not run.job.overwrite


def _uncommitted(run: RunFolder, committed: Committed) -> Iterator[pa.RecordBatch]:
    for batch in read_batches(run.folder):
        yield batch.filter(pa.array(~contains(committed.done, batch["source_id"])))


def _looked_up(run: RunFolder, new: list[Source]) -> list[Source]:
    keys = [_output_key(run, source) for source in new]
    distinct = list(dict.fromkeys(keys))  # the members of a bundle share one
    with ThreadPoolExecutor(_THREADS) as pool:
        there = dict(zip(distinct, pool.map(run.layout.folder.exists, distinct), strict=True))
    return [source for source, key in zip(new, keys, strict=True) if there[key]]


def _listed_among(run: RunFolder, new: Iterable[Source]) -> list[Source]:
    keys = _present(run)
    if not len(keys):
        return []  # an empty output, as at first: nothing more is read
    return [source for source in new if is_among(_output_key(run, source), keys)]


def _present(run: RunFolder) -> NDArray[np.int64]:
    """Hashes of the keys that are in the output now."""
    ours = f"{RUN_FOLDER}/"
    pages = run.layout.folder.pages()
    try:
        return hashed((key for key in page.keys if not key.startswith(ours)) for page in pages)
    except StorageError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        return hashed(())


def _never_committed(run: RunFolder, found: list[Source]) -> list[Source]:
    """Those of which the ledger holds no version: a changed source goes over its own older result."""
    wanted = {(source.dataset, source.key) for source in found}
    if _is_bundled(run):  # an object is of all the images in it, also of those that are in it no more
        tables = run.ledger.tables(["output_uri"])
        ours = {run.layout.outlet.stored_at(each) for table in tables for each in _told(table)}
        return [source for source in found if _output_key(run, source) not in ours]
    for table in run.ledger.tables(["dataset", "key"]):
        wanted.difference_update(zip(table["dataset"].to_pylist(), table["key"].to_pylist(), strict=True))
    return [source for source in found if (source.dataset, source.key) in wanted]


def _is_bundled(run: RunFolder) -> bool:
    return not isinstance(run.layout.outlet, FolderOutlet)


def _told(table: pa.Table) -> list[str]:
    return [each for each in table["output_uri"].to_pylist() if each is not None]


def _output_key(run: RunFolder, source: Source) -> str:
    """Where its object goes. Of a private one without a format: an opaque id, which nobody else has."""
    stored = run.job.stored_format
    extensions = FORMATS[stored].extensions if stored else ("",)
    if run.job.kind == "degrade":
        key = run.layout.degraded(source, NO_DEGRADATION, extensions)
    else:
        key = run.layout.restored(source, NO_DEGRADATION, NO_RESTORER, extensions)
    return run.layout.outlet.stored_at(key)


def _names(batch: pa.RecordBatch) -> Iterator[tuple[str, str]]:
    return zip(batch["dataset"].to_pylist(), batch["key"].to_pylist(), strict=True)
