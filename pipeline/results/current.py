"""Which rows of the ledger count: those of today's sources, at their newest attempt, each source once.

A source that stands in two units at one attempt (two runs at once could write that, before there was a lease)
counts in the first of them in order of name: the rule is the same for tables, verification and repair.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from pipeline.ledger.committed import contains
from pipeline.ledger.run_folder import RunFolder
from pipeline.planning.plan_files import read_source_ids


def current_rows(run: RunFolder, columns: Sequence[str] | None = None) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Parts of the ledger, and the rows of each that count. ``JobError`` where nothing was planned yet.

    ``columns`` has ``source_id``, ``unit_id`` and ``attempt`` among others; none: all.
    """
    listed = read_source_ids(run.folder)
    committed = run.ledger.committed()
    for table in run.ledger.tables(None if columns is None else list(columns)):
        counts = contains(listed, table["source_id"]) & committed.newest(table)
        yield table, table.filter(pa.array(counts))
