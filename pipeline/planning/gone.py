"""Objects that a killed run left of sources which went away: no unit will ever commit or rewrite them.

What it wrote is of sources that its plan has in units, and that plan is still there when the next one is
made. An object is removed where no row of the ledger names it and it was written while that run lived: then
no other run of ours wrote it, for the output was held. With ``overwrite`` it may be somebody else's, and
stays; and an output that is no plain folder of objects gets none before their unit is whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.doors.outlet import FolderOutlet
from pipeline.formats import FORMATS
from pipeline.jobs.job import NO_DEGRADATION, NO_RESTORER
from pipeline.ledger.addresses import ADDRESSES, key_of
from pipeline.ledger.identities import IdIndex
from pipeline.ledger.lease import SECONDS_BETWEEN_BEATS
from pipeline.ledger.run_folder import RunFolder
from pipeline.ledger.run_record import BEGUN
from pipeline.planning.hashes import hashed, is_among
from pipeline.planning.plan_files import UNITS, is_planned, read_batches, read_source_ids, sources_of
from pipeline.storage.folder import Folder
from pipeline.units import Source

_THREADS = 16


def remove_gone(run: RunFolder, listed: Folder) -> int:
    """Removes what the run before left of sources that are in the whole listing no more; how many objects.

    To be called before its units are replaced, by who holds the lease.
    """
    window = _window(run)
    if window is None or run.job.overwrite or not isinstance(run.layout.outlet, FolderOutlet):
        return 0
    first, last = window

    def is_of_it(key: str) -> bool:
        try:
            return first <= (run.layout.folder.written_at(key) or 0.0) <= last
        except FileNotFoundError:
            return False

    count, named = 0, None
    for sources in _gone(run, listed):
        written = {key: source for source in sources for key in _keys(run, source)}
        named = _named(run) if named is None else named
        keys = [key for key in written if not is_among(key, named)]
        with ThreadPoolExecutor(_THREADS) as pool:
            ours = [key for key, is_ours in zip(keys, pool.map(is_of_it, keys), strict=True) if is_ours]
        for key in ours:
            run.layout.outlet.remove(written[key], key)
        count += len(ours)
    return count


def _window(run: RunFolder) -> tuple[float, float] | None:
    """Between which moments a killed run wrote, by the clock of the store; ``None`` where none was killed."""
    killed_at = run.lease.killed_at if run.lease is not None else None
    if killed_at is None or not run.folder.exists(BEGUN) or not is_planned(run.folder, UNITS):
        return None
    begun_at = run.folder.written_at(BEGUN)
    return None if begun_at is None else (begun_at, killed_at + SECONDS_BETWEEN_BEATS)


def _gone(run: RunFolder, listed: Folder) -> Iterator[list[Source]]:
    """Planned sources of keys that are not listed, some at a time."""
    ids, keys = IdIndex(read_source_ids(listed)), None
    for batch in read_batches(run.folder, UNITS, ["sources"]):
        rows = pa.Table.from_struct_array(batch["sources"].flatten())
        rows = rows.filter(pa.array(~ids.contains(rows["source_id"])))
        if len(rows):
            keys = _listed(listed) if keys is None else keys
            known = [is_among(each, keys) for each in _pairs(rows)]  # a changed one is written again
            if gone := sources_of(rows.filter(pc.invert(pa.array(known)))):
                yield gone


def _listed(listed: Folder) -> NDArray[np.int64]:
    return hashed(map(_pairs, read_batches(listed, columns=["dataset", "key"])))


def _pairs(rows: pa.RecordBatch | pa.Table) -> Iterable[tuple[str, str]]:
    return zip(rows["dataset"].to_pylist(), rows["key"].to_pylist(), strict=True)


def _named(run: RunFolder) -> NDArray[np.int64]:
    """Keys that rows of the ledger name, also those that count no more."""
    columns = [name for name in ADDRESSES if name in run.ledger.schema.names]
    tables = run.ledger.tables(["dataset", "key", "degradation", "restorer", *columns])
    named = ((table.filter(pc.is_valid(table[name])), name) for table in tables for name in columns)
    return hashed((key_of(row, name, run.layout) for row in table.to_pylist()) for table, name in named)


def _keys(run: RunFolder, source: Source) -> Iterator[str]:
    """Of all objects that a unit may write for a source. An opaque name gets the ending of its format, which
    nobody knows any more: all are tried, for nobody else has the name."""
    layout, stored = run.layout, run.job.stored_format
    endings = [FORMATS[stored].extensions] if stored else [each.extensions for each in FORMATS.values()]
    combinations = run.recipe.combinations if layout.kind == "benchmark" else [(NO_DEGRADATION, NO_RESTORER)]
    for extensions in endings:
        for degradation, restorer in combinations:
            if layout.keeps_restored:
                yield layout.restored(source, degradation, restorer, extensions)
            if layout.keeps_degraded:
                yield layout.degraded(source, degradation, extensions)
    if run.job.save_uncertainty:
        for each in FORMATS.values():
            yield layout.uncertainty(source, each.extensions)
