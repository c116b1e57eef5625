"""What an output has lost: objects that the ledger promises and the store lacks, and damaged ledger files."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from pipeline.doors.outlet import Results
from pipeline.ledger.addresses import promised
from pipeline.ledger.identities import IdArray, ids_of, no_ids
from pipeline.ledger.run_folder import RunFolder
from pipeline.results.current import current_rows
from pipeline.results.described import description_faults
from pipeline.results.object_check import object_fault, owed_beside
from pipeline.results.verify import columns_of


@dataclass
class Losses:
    """What is to be done again, and why."""

    source_ids: IdArray = field(default_factory=no_ids)
    """Sources with a lost or damaged object, sorted."""
    objects: list[str] = field(default_factory=list)
    """What is wrong with each object, one line each."""
    descriptions: list[str] = field(default_factory=list)
    """The same of what describes all results, and is written again with the tables."""


def find_losses(run: RunFolder, *, read_back: bool, threads: int = 16) -> Losses:
    """Objects that are not there; with ``read_back`` also those whose hash is another.

    ``JobError`` where nothing was planned yet; ``StorageError`` where the store cannot be asked.
    """
    lost: set[str] = set()
    losses = Losses()
    look = partial(_fault, run.results(), read_back)
    with ThreadPoolExecutor(threads) as pool:
        for _, table in current_rows(run, columns_of(run)):
            for source_id, fault in pool.map(look, _owed(table, run)):
                if fault is not None:
                    lost.add(source_id)
                    losses.objects.append(fault)
    losses.descriptions = description_faults(run, reads=read_back)
    losses.source_ids = np.sort(ids_of(list(lost)))
    return losses


class _Owed(NamedTuple):
    source_id: str
    key: str | None
    digest: str
    size: int


def _owed(table: pa.Table, run: RunFolder) -> Iterator[_Owed]:
    outlet = run.outlet()
    for row, kind, key in promised(table, run):
        yield _Owed(row["source_id"], key, row[f"{kind}_sha256"] or "", row[f"{kind}_bytes"] or 0)
        if key is not None and (beside := owed_beside(outlet, kind, key)):
            yield _Owed(row["source_id"], *beside)


def _fault(results: Results, read_back: bool, owed: _Owed) -> tuple[str, str | None]:
    if owed.key is None:
        return owed.source_id, "an ok row names no object"
    if read_back:
        return owed.source_id, object_fault(results, owed.key, owed.digest, owed.size, reads=True)
    there = results.exists(owed.key)
    return owed.source_id, None if there else f"{owed.key}: the object is missing"
