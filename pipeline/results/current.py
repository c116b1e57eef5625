"""Which rows of the ledger count: those of today's sources, at their newest attempt, each source once.

A source that stands in two units at one attempt (two runs at once could write that, before there was a lease)
counts in the first of them in order of name: the rule is the same for tables, verification and repair.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.ledger.addresses import with_addresses
from pipeline.ledger.committed import Committed
from pipeline.ledger.identities import IdIndex
from pipeline.ledger.run_folder import RunFolder
from pipeline.ledger.schema import OK
from pipeline.planning.known import digest_of_sources
from pipeline.planning.plan_files import read_source_ids
from pipeline.results.score_rows import as_restorers
from pipeline.results.table_columns import completed


class Counting(NamedTuple):
    """What tells which rows count: 50 bytes a source."""

    listed: IdIndex
    """Today's sources."""
    committed: Committed

    @classmethod
    def of(cls, run: RunFolder) -> Counting:
        """As plan and ledger are now. ``JobError`` where nothing was planned yet."""
        # The ledger first: while it is sorted, it takes more memory than the plan.
        committed = run.ledger.committed()
        return cls(IdIndex(read_source_ids(run.folder)), committed)

    @classmethod
    def shared(cls, run: RunFolder) -> Counting:
        """The same, left for who asks next in this process: see ``taken``."""
        state = _state(run)  # before it is read: what is committed meanwhile makes it another
        found = cls.of(run)
        run.counting = state, found
        return found

    @classmethod
    def taken(cls, run: RunFolder) -> Counting:
        """What was left, where plan and ledger are as they were then; it is held no longer."""
        left, run.counting = run.counting, None
        if isinstance(left, tuple) and left[0] == _state(run) and isinstance(left[1], cls):
            return left[1]
        return cls.of(run)

    def __call__(self, table: pa.Table) -> NDArray[np.bool_]:
        """For each row of a part of the ledger whether it counts."""
        return self.listed.contains(table["source_id"]) & self.committed.newest(table)


def _state(run: RunFolder) -> list[str]:
    return [digest_of_sources(run.folder), *run.ledger.keys()]


def current_rows(
    run: RunFolder, columns: Sequence[str] | None = None, counting: Counting | None = None
) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Parts of the ledger, and the rows of each that count. ``JobError`` where nothing was planned yet.

    ``columns`` has ``source_id``, ``unit_id`` and ``attempt`` among others; none: all.
    """
    counts = counting or Counting.of(run)
    for table in run.ledger.tables(None if columns is None else list(columns)):
        mask = counts(table)
        yield table, table if mask.all() else table.filter(pa.array(mask))


def ok_rows(run: RunFolder) -> Iterator[dict[str, Any]]:
    """Those of them that are ok, one by one."""
    for _, table in current_rows(run):
        yield from table.filter(pc.equal(table["status"], OK)).to_pylist()


COUNTED = ("rows", "ok", "superseded", "images", "images_quarantined")


def counted(table: pa.Table, kept: pa.Table) -> dict[str, int]:
    """Numbers under ``COUNTED`` of a part of the ledger, and of the rows of it that count."""
    good = pc.equal(kept["status"], OK)
    return {
        "superseded": len(table) - len(kept),
        "rows": len(kept),
        "ok": pc.sum(good).as_py() or 0,
        "images": pc.count_distinct(kept["source_id"]).as_py(),
        "images_quarantined": pc.count_distinct(kept.filter(pc.invert(good))["source_id"]).as_py(),
    }


def counted_reasons(kept: pa.Table) -> dict[str, int]:
    """Quarantined rows among those that count, by their reason."""
    held = kept.filter(pc.not_equal(kept["status"], OK))
    counts = held["reason"].fill_null("").value_counts()
    return {each["values"]: each["counts"] for each in counts.to_pylist()}


def as_table(kept: pa.Table, run: RunFolder, schema: pa.Schema) -> pa.Table:
    """Rows of the ledger that count, as the tables have them."""
    return as_restorers(completed(with_addresses(kept, run), run, schema), run.job)
