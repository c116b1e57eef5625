"""Rows drawn at random out of any number of them, in one pass, with so many in memory."""

from __future__ import annotations

import numpy as np
import pyarrow as pa


class RowSample:
    """``add`` tables, then ``table``: every row had the same chance. Another draw each time."""

    def __init__(self, count: int) -> None:
        self._count, self._rng = count, np.random.default_rng()
        self._lots = np.empty(0)
        self._rows: pa.Table | None = None

    def add(self, table: pa.Table) -> None:
        """More rows, each with a lot; those with the smallest lots are drawn."""
        lots = self._rng.random(len(table))
        if len(self._lots) == self._count:
            better = lots < self._lots.max() if self._count else np.zeros(len(lots), bool)
            lots, table = lots[better], table.filter(pa.array(better))
        joined = table if self._rows is None else pa.concat_tables([self._rows, table])
        lots = np.concatenate([self._lots, lots])
        if len(lots) > self._count:
            kept = np.sort(np.argpartition(lots, self._count - 1)[: self._count])
            lots, joined = lots[kept], joined.take(pa.array(kept)).combine_chunks()
        self._lots, self._rows = lots, joined

    def table(self) -> pa.Table | None:
        """What was drawn; ``None`` where nothing was added."""
        return self._rows
