"""Which rows of the ledger count: those of today's sources, at their newest attempt, each source once.

A source that stands in two units at one attempt (two runs at once could write that, before there was a lease)
counts in the first of them in order of key: the rule is the same for tables, verification and repair.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from pipeline.ledger.ledger import contains
from pipeline.ledger.run_folder import RunFolder
from pipeline.planning.plan_files import read_source_ids


def current_rows(run: RunFolder) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Each unit's rows, and those of them that count. ``JobError`` where nothing was planned yet."""
    listed = read_source_ids(run.folder)
    taken = np.zeros(len(listed), bool)
    committed = run.ledger.committed()
    for table in run.ledger.tables():
        ids = table["source_id"].to_pylist()
        places = np.minimum(np.searchsorted(listed, np.array(ids, "S32")), max(len(listed) - 1, 0))
        keep = contains(listed, ids) & committed.newest(table)
        if len(listed):
            keep &= ~taken[places]
            taken[places[keep]] = True
        yield table, table.filter(pa.array(keep))
