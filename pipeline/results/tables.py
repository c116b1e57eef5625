"""Compaction: the ledger as tables for people. Derived data: can be deleted and made again."""

from __future__ import annotations

import dataclasses
import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.distances import DISTANCES
from pipeline.errors import StorageError
from pipeline.ledger.run_folder import RunFolder
from pipeline.ledger.schema import FEATURES
from pipeline.ledger.sealing import seal
from pipeline.metrics import METRICS
from pipeline.recipe.recipe import SCHEMA_VERSION
from pipeline.results import one_file, parts
from pipeline.results.current import Counting, current_rows
from pipeline.results.described import describe_results
from pipeline.results.metric_sums import SumTable
from pipeline.results.part_counts import PartCounts
from pipeline.results.report_rows import ReportRows, report_columns
from pipeline.results.table_columns import with_units
from pipeline.results.tally import with_totals
from pipeline.storage.folder import Folder
from pipeline.storage.scratch import scratch
from pipeline.trust.protocol import estimate_protocol, flag_protocol, interval_protocol

METRIC_TABLE = parts.TABLE
"""A file; with more than ``ONE_FILE_ROWS`` a folder of files, which readers of Parquet take likewise."""
SUMMARY_TABLE = "tables/summary.parquet"
METADATA_KEY = b"restora"

ONE_FILE_ROWS = 1_000_000


@dataclasses.dataclass(frozen=True)
class TableSummary:
    """What compaction wrote; safe to hand to a scheduler."""

    rows: int
    ok: int
    quarantined: int
    superseded: int
    """Rows of the ledger left out: of sources changed, deleted, or tried again since."""
    images: int
    images_quarantined: int

    @property
    def quarantined_share(self) -> float:
        """Images with a quarantined row, as a share of all."""
        return self.images_quarantined / self.images if self.images else 0.0


def compact(run: RunFolder) -> TableSummary:
    """Writes ``tables/metrics.parquet`` and ``tables/summary.parquet`` from ledger and plan.

    Who holds the run's lease merges the files of units into segments first, where there are many.
    """
    if run.lease is not None:
        seal(run.ledger, run.lease.check)
    columns = [with_units(field) for field in run.ledger.schema if field.name not in FEATURES]
    schema = pa.schema(columns).with_metadata({METADATA_KEY: json.dumps(_metadata(run)).encode()})
    is_large = sum(each.rows or 0 for each in run.ledger.parts()) > ONE_FILE_ROWS
    is_large = is_large or run.folder.exists(parts.CATALOGUE)  # a folder does not become a file again
    counts, summary = _in_parts(run, schema) if is_large else _in_one_file(run, schema)
    buffer = io.BytesIO()
    pq.write_table(summary, buffer, compression="zstd")
    run.folder.put(SUMMARY_TABLE, buffer.getvalue())
    describe_results(run)
    return TableSummary(quarantined=counts["rows"] - counts["ok"], **counts)


def _in_one_file(run: RunFolder, schema: pa.Schema) -> tuple[dict[str, int], pa.Table]:
    """The counts of the table, and its summary."""
    counts, summary, distances = one_file.write_table(run, schema)
    return counts, _with_distances(summary, distances)


def _in_parts(run: RunFolder, schema: pa.Schema) -> tuple[dict[str, int], pa.Table]:
    """The same for a table in parts: only those of the ledger that changed are read and written."""
    # Here, for the start-up of a run with nothing to do, which sums nothing up.
    from pipeline.results.distance_table import DistanceTable
    from pipeline.results.statistics import SUMMARY_SCHEMA

    directions = {name: 1.0 if METRICS[name].protocol.higher_is_better else -1.0 for name in run.job.metrics}
    before = parts.read_catalogue(run.folder) or parts.Catalogue()
    known = {each.state: each for each in before.parts}
    counting = Counting.shared(run)
    with scratch("table") as place:
        writer = parts.PartWriter(run, schema, directions, PartCounts(counting), known, place)
        found = [writer.part(each) for each in run.ledger.parts()]
        parts.replace_parts(run.folder, found, writer.new)
    sums, distances = SumTable(directions), DistanceTable(run.job.distances)
    for part in found:
        sums.merge(parts.read_side(run.folder, part, "sums"))
    if run.job.distances:
        for _, kept in current_rows(run, counting=counting):
            distances.add(kept)
    summary = pa.Table.from_pylist(sums.rows(), SUMMARY_SCHEMA)
    return parts.totals_of(found), _with_distances(summary, distances.rows())


def _with_distances(summary: pa.Table, rows: list[dict[str, Any]]) -> pa.Table:
    return pa.concat_tables([summary, pa.Table.from_pylist(rows, summary.schema)])


def has_metrics(folder: Folder) -> bool:
    """Whether there is a whole metric table, in one file or in parts."""
    in_parts = parts.read_catalogue(folder)
    return folder.exists(METRIC_TABLE) if in_parts is None else in_parts.is_whole


def table_parts(run: RunFolder) -> tuple[parts.Part, ...]:
    """Those of the table; none where it is a file. ``StorageError`` where some are missing."""
    found = parts.read_catalogue(run.folder) or parts.Catalogue()
    if not found.is_whole:
        raise StorageError(
            f"{run.folder.uri(METRIC_TABLE)}: a run was stopped while it wrote this table; run the same "
            "command again, which completes it"
        )
    return found.parts


def read_metrics(run: RunFolder, columns: list[str] | None = None) -> pa.Table:
    """The metric table, with its metadata."""
    if in_parts := table_parts(run):
        return pa.concat_tables(parts.read_parts(run.folder, in_parts, columns))
    with run.folder.open(METRIC_TABLE) as file:
        return pq.read_table(pa.PythonFile(file, mode="r"), columns=columns)


def read_report_rows(run: RunFolder, columns: list[str] | None = None) -> pa.Table:
    """What the report shows of the metric table: all rows, or of a large one those that were drawn.

    Then the counts of the whole table are in the metadata, under ``TOTALS``.
    """
    in_parts = table_parts(run)
    if not in_parts:
        shown = one_file.read_shown(run.folder)
        if shown is None:
            return read_metrics(run, columns or report_columns(run.job))
        return shown.select(columns) if columns else shown
    drawn = ReportRows(run.job)
    for part in in_parts:
        rows = parts.read_side(run.folder, part, "report")
        drawn.add(rows)
    table = drawn.table(rows.schema)
    table = table.select(columns) if columns else table
    totals = parts.totals_of(in_parts) | {"reasons": parts.reasons_of(in_parts)}
    return with_totals(table, totals | {"trust": parts.trust_of(in_parts)})


def read_summary(run: RunFolder) -> pa.Table:
    """The summary table."""
    return pq.ParquetFile(io.BytesIO(run.folder.read(SUMMARY_TABLE))).read()


def _metadata(run: RunFolder) -> dict[str, Any]:
    protocols = {name: dataclasses.asdict(each.protocol) for name, each in run.recipe.metrics.items()}
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": run.job.kind,
        "job": run.job.shown(),
        "recipe": run.specification,
        "recipe_id": run.recipe_id,
        "distances": {
            name: {"formula": DISTANCES[name].formula, "source": DISTANCES[name].source}
            for name in run.job.distances
        },
        "protocols": {
            name: {field: str(v) if isinstance(v, float) else v for field, v in protocol.items()}
            for name, protocol in protocols.items()
        },
        **({"psnr_estimate": estimate_protocol(run.recipe.calibration)} if run.job.estimates_psnr else {}),
        **_intervals(run),
        **(flag_protocol(run.recipe.calibration) if run.job.flags else {}),
    }


def _intervals(run: RunFolder) -> dict[str, Any]:
    if not run.job.has_uncertainty:
        return {}
    return interval_protocol(
        {each.name: each.uncertainty for each in run.job.restorers}, run.recipe.calibration
    )
