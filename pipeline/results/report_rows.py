"""Some rows of a large metric table for the report: images at random, extremes, and what was quarantined.

The images are those with the smallest identities, which are hashes: parts of the table are drawn from alone,
and what is drawn of all of them together is the same.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.jobs.job import Job
from pipeline.ledger.identities import ids_of
from pipeline.ledger.schema import carried_names, is_ok
from pipeline.results.metric_sums import groups_of
from pipeline.results.trust_counts import DOUBTFUL

IMAGES = 20_000
EXTREMES = 10
"""Best and worst of each dataset x degradation x restorer, by each metric and by each column of doubt."""
QUARANTINED = 2_000
COLUMNS = (
    *("dataset", "key", "source_id", "degradation", "restorer", "status", "reason", "stage", "message"),
    *("seconds", "device", "code_version", "finished_at"),
)


def report_columns(job: Job) -> list[str]:
    """Of the metric table: what the report says something of."""
    scores = (f"{name}{suffix}" for name in job.metrics for suffix in ("", "_degraded"))
    estimates = ("psnr_estimate", "psnr_floor", "psnr_reason") if job.estimates_psnr else ()
    widths = ["uncertainty_mean", "uncertainty_p95", "uncertainty_reason"] if job.has_uncertainty else []
    widths += ["flags", "flags_reason"] if job.flags else []
    return [*COLUMNS, *carried_names(job), *scores, *estimates, *widths]


class ReportRows:
    """``add`` parts of the table, then ``table``."""

    def __init__(self, job: Job) -> None:
        self._columns, self._metrics = report_columns(job), job.metrics
        self._rows: pa.Table | None = None

    def add(self, table: pa.Table) -> None:
        """Rows of the metric table, or rows that were drawn of a part of it."""
        rows = table.select(self._columns)
        joined = rows if self._rows is None else pa.concat_tables([self._rows, rows])
        if len(joined) > IMAGES:
            joined = joined.filter(pa.array(self._chosen(joined)))
        self._rows = joined.combine_chunks()

    def table(self, schema: pa.Schema) -> pa.Table:
        """What was drawn, with the metadata of the whole."""
        fields = pa.schema([schema.field(name) for name in self._columns], schema.metadata)
        return fields.empty_table() if self._rows is None else self._rows.cast(fields)

    def _chosen(self, table: pa.Table) -> NDArray[np.bool_]:
        ids = ids_of(table["source_id"]).view(">u8")[::2].astype(np.uint64)
        ok = is_ok(table)
        distinct = np.unique(ids[ok])
        chosen = ok & (ids <= distinct[:IMAGES][-1]) if len(distinct) else np.zeros(len(ids), np.bool_)
        held = np.flatnonzero(~ok)
        chosen[held[np.argsort(ids[held], kind="stable")[:QUARANTINED]]] = True
        for name in (*self._metrics, *(each for each in DOUBTFUL if each in table.column_names)):
            score = table[name].to_numpy(zero_copy_only=False).astype(np.float64)
            for _, rows in groups_of(table):
                known = rows[ok[rows] & ~np.isnan(score[rows])]
                chosen[known[_ends(score[known])]] = True
        return chosen


def _ends(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Places of the least and the greatest values."""
    if len(values) <= 2 * EXTREMES:
        return np.arange(len(values))
    order = np.argpartition(values, (EXTREMES - 1, len(values) - EXTREMES))
    return np.concatenate([order[:EXTREMES], order[-EXTREMES:]])
