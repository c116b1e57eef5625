"""The ledger of strips: beside that of images, under the same protocol, with rows of its own.

A strip is no image, so no reader of images ever meets one. The names of the files alone say which
strips are done, so they are never merged into segments.
"""

from __future__ import annotations

import pyarrow as pa

from pipeline.ledger.ledger import Ledger, prefix_of, unit_of
from pipeline.storage.folder import Folder

COLUMNS = pa.schema(
    [
        ("source_id", pa.string()),
        ("unit_id", pa.string()),
        ("attempt", pa.int32()),
        ("first_row", pa.int64()),
        ("last_row", pa.int64()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("stage", pa.string()),
        ("message", pa.string()),
        ("sums", pa.string()),
        ("scores", pa.string()),
        ("condition", pa.string()),
        ("blocks", pa.string()),
        ("device", pa.string()),
        ("seconds", pa.float64()),
        ("code_version", pa.string()),
        ("finished_at", pa.timestamp("us", tz="UTC")),
    ]
)
"""One row a strip. ``sums`` and ``scores``: ``StripStatistics`` and ``ScoreTotals`` as JSON; ``blocks``:
rectangles of the output as JSON."""


class StripLedger(Ledger):
    """``ledger/<recipe>-strips/<2 hex>/<unit>.parquet``."""

    def __init__(self, folder: Folder, recipe_id: str) -> None:
        super().__init__(folder, f"{prefix_of(recipe_id)}-strips", COLUMNS)

    def unit_ids(self) -> frozenset[str]:
        """The strips that are done."""
        return frozenset(map(unit_of, self.unit_keys()))
