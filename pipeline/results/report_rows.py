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
_HELD = 4
"""So many times ``IMAGES`` rows wait until it is drawn from them."""
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
        self._rows: list[pa.Table] = []
        self._bound = np.uint64(2**64 - 1)
        """No image beyond it is one of ``IMAGES``."""

    def add(self, table: pa.Table) -> None:
        """Rows of the metric table, or rows that were drawn of a part of it."""
        self._rows.append(self._fewer(table.select(self._columns)))
        if sum(map(len, self._rows)) > _HELD * IMAGES:
            self._rows = [self._drawn()]

    def _drawn(self) -> pa.Table:
        return self._fewer(pa.concat_tables(self._rows)).combine_chunks()

    def _fewer(self, rows: pa.Table) -> pa.Table:
        return rows.filter(pa.array(self._chosen(rows))) if len(rows) > IMAGES else rows

    def table(self, schema: pa.Schema) -> pa.Table:
        """What was drawn, with the metadata of the whole."""
        fields = pa.schema([schema.field(name) for name in self._columns], schema.metadata)
        return self._drawn().cast(fields) if self._rows else fields.empty_table()

    def _chosen(self, table: pa.Table) -> NDArray[np.bool_]:
        ids = ids_of(table["source_id"]).view(">u8")[::2].astype(np.uint64)
        ok = is_ok(table)
        few = np.sort(ids[ok & (ids <= self._bound)])
        distinct = few[np.flatnonzero(np.diff(few, prepend=~few[:1]))]
        if len(distinct) >= IMAGES:
            self._bound = distinct[IMAGES - 1]
        chosen = ok & (ids <= self._bound)
        held = np.flatnonzero(~ok)
        chosen[held[np.argsort(ids[held], kind="stable")[:QUARANTINED]]] = True
        groups = [rows for _, rows in groups_of(table)]
        for name in (*self._metrics, *(each for each in DOUBTFUL if each in table.column_names)):
            score = table[name].to_numpy(zero_copy_only=False).astype(np.float64)
            for rows in groups:
                known = rows[ok[rows] & ~np.isnan(score[rows])]
                chosen[known[_ends(score[known])]] = True
        return chosen


def _ends(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Places of the least and the greatest values."""
    if len(values) <= 2 * EXTREMES:
        return np.arange(len(values))
    order = np.argpartition(values, (EXTREMES - 1, len(values) - EXTREMES))
    return np.concatenate([order[:EXTREMES], order[-EXTREMES:]])
