"""Which rows of a part of the ledger count, and a digest that is the same as long as the same ones do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.hashing import sha256_hex
from pipeline.ledger.committed import COLUMNS
from pipeline.ledger.ledger import LedgerPart
from pipeline.ledger.run_folder import RunFolder
from pipeline.results.current import Counting
from pipeline.results.tally import counts_trust

Mask = NDArray[np.bool_] | None
"""For each row of a table whether it counts; ``None`` where all do."""

_ALL = "all"
"""In place of a digest, where every row of a part of the ledger counts."""


class PartCounts:
    """Which rows count, part by part: a byte a row of a part is held, where not all count."""

    def __init__(self, counting: Counting) -> None:
        self._counting = counting

    def mask(self, table: pa.Table) -> Mask:
        """Of a table of a part."""
        return None if self._all_count else self._counting(table)  # without a look at any, mostly

    def masks(self, part: LedgerPart) -> list[Mask]:
        """Of every table of a part; none where all rows of all count."""
        return [] if self._all_count else [self._counting(table) for table in part.tables(COLUMNS)]

    @cached_property
    def _all_count(self) -> bool:
        listed, committed = self._counting
        if len(committed.several):
            return False
        # Both sorted: mostly they are the same.
        same = np.array_equal(listed.ids, committed.done)
        return same or bool(listed.contains(committed.done).all())


def digest_of(masks: Iterable[Mask]) -> str:
    """Of the masks of all tables of a part."""
    told = [each for each in masks if each is not None]
    if all(each.all() for each in told):
        return _ALL
    return sha256_hex(b"".join(np.packbits(each).tobytes() for each in told))


def counted_rows(part: LedgerPart, masks: list[Mask]) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Tables of a part, and the rows of each that count; ``masks``: as ``PartCounts`` gives them."""
    for index, table in enumerate(part.tables(None)):
        yield table, kept_of(table, masks[index] if masks else None)


def kept_of(table: pa.Table, mask: Mask) -> pa.Table:
    """The rows that count."""
    return table if mask is None or mask.all() else table.filter(pa.array(mask))


def state_of(run: RunFolder, schema: pa.Schema, part: LedgerPart, digest: str) -> str:
    """Digest of what the rows of a part are made from in the tables; ``digest``: of those that count."""
    described = [part.name, digest, run.root.url, str(schema), str(schema.metadata)]
    described += ["trust is counted"] * counts_trust(run, schema)
    return sha256_hex("\n".join(described).encode())
