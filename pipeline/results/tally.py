"""What is said of a whole metric table where a page shows some of its rows: counts, and the rows to show."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from pipeline.ledger.run_folder import RunFolder
from pipeline.ledger.schema import TRUST_REASONS
from pipeline.results.current import counted_reasons
from pipeline.results.report_rows import ReportRows
from pipeline.results.trust_counts import TOTALS, trust_counts


def counts_trust(run: RunFolder, schema: pa.Schema) -> bool:
    """Whether the table of a run says how far its images can be trusted."""
    return run.job.kind == "restore" and any(name in schema.names for name in TRUST_REASONS)


class Tally:
    """``add`` rows of a metric table; then they are counted, and ``shown`` has some for the report."""

    def __init__(self, run: RunFolder, schema: pa.Schema) -> None:
        self.reasons: Counter[str] = Counter()
        """Quarantined rows by their reason."""
        self.trust: Counter[str] = Counter()
        """As ``trust_counts``, of restore runs."""
        self.shown = ReportRows(run.job)
        self._needed = run.job.psnr_needed if counts_trust(run, schema) else None

    def add(self, rows: pa.Table) -> None:
        """More rows, as the table has them."""
        self.reasons.update(counted_reasons(rows))
        self.shown.add(rows)
        if self._needed is not None:
            self.trust.update(trust_counts(rows, self._needed))


def with_totals(drawn: pa.Table, totals: Mapping[str, Any]) -> pa.Table:
    """Rows that were drawn from a table, with counts of the whole in the metadata, under ``TOTALS``."""
    metadata = (drawn.schema.metadata or {}) | {TOTALS: json.dumps(totals).encode()}
    return drawn.replace_schema_metadata(metadata)
