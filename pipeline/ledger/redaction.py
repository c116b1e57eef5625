"""What of a private row may be committed: an allow-list of columns."""

from __future__ import annotations

import pyarrow as pa

from pipeline.jobs.job import Job
from pipeline.ledger.schema import COLUMNS, Row

ALLOWED_COLUMNS = frozenset(
    {
        *("dataset", "key", "source_id", "source_bytes", "source_sha256", "height", "width", "channels"),
        *("dtype", "data_low", "data_high", "data_range_rule", "nodata_share", "degradation", "condition"),
        *("degradation_params", "seed", "restorer", "restorer_sha256", "recipe_id", "unit_id", "attempt"),
        *("status", "reason", "stage", "clipped_pixels", "output_uri", "output_sha256", "output_bytes"),
        *("degraded_uri", "degraded_sha256", "degraded_bytes", "device", "seconds", "code_version"),
        *("plugins", "host", "finished_at"),
    }
)
"""Fixed columns that a private row may fill; all others stay empty, also those that someone adds later."""

PLAIN_MESSAGES = frozenset({"SERIES_INCONSISTENT", "SERIES_INCOMPLETE"})
"""Reasons whose messages are counts and attribute names, and may stand in a private row."""


class Redactor:
    """``redact(dataset, row, schema)`` leaves of a private dataset's row what may be written down."""

    def __init__(self, job: Job) -> None:
        self._private = frozenset(each.name for each in job.datasets if each.private)

    def redact(self, dataset: str, row: Row, schema: pa.Schema) -> Row:
        """A row as it may be committed to a ledger of this schema, that of strips too.

        What a ledger adds to the fixed columns (metrics, features, sums) are numbers and stay.
        """
        if dataset not in self._private:
            return row
        allowed = ALLOWED_COLUMNS | (set(schema.names) - set(COLUMNS.names) - {"reference_uri"})
        names = allowed | {"message"} if row.get("reason") in PLAIN_MESSAGES else allowed
        return {name: value for name, value in row.items() if name in names}
