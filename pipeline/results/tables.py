"""Compaction: the ledger as tables for people. Derived data: can be deleted and made again."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.distances import DISTANCES
from pipeline.ledger.addresses import with_addresses
from pipeline.ledger.run_folder import RunFolder
from pipeline.ledger.schema import FEATURES, OK
from pipeline.ledger.sealing import seal
from pipeline.metrics import METRICS
from pipeline.recipe.recipe import SCHEMA_VERSION
from pipeline.results.current import current_rows
from pipeline.results.score_rows import as_restorers
from pipeline.results.table_columns import completed, with_units
from pipeline.storage.scratch import scratch
from pipeline.trust.protocol import estimate_protocol

METRIC_TABLE = "tables/metrics.parquet"
SUMMARY_TABLE = "tables/summary.parquet"
METADATA_KEY = b"restora"

ROW_GROUP = 50_000


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
    # Here, because it brings scipy.stats, which would lengthen the start-up of a run with nothing to do.
    from pipeline.results.distance_table import DistanceTable
    from pipeline.results.statistics import summarise

    if run.lease is not None:
        seal(run.ledger, run.lease.check)
    counts: dict[str, int] = dict.fromkeys(("rows", "ok", "superseded", "images", "images_quarantined"), 0)
    distances = DistanceTable(run.job.distances)
    columns = [with_units(field) for field in run.ledger.schema if field.name not in FEATURES]
    schema = pa.schema(columns).with_metadata({METADATA_KEY: json.dumps(_metadata(run)).encode()})
    with scratch("table") as place:
        path = place / "metrics.parquet"
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            waiting: list[pa.Table] = []
            for table in _current(run, counts):
                if run.job.distances:
                    distances.add(table)
                waiting.append(as_restorers(completed(with_addresses(table, run), run, schema), run.job))
                if sum(map(len, waiting)) >= ROW_GROUP:
                    writer.write_table(pa.concat_tables(waiting))
                    waiting = []
            if waiting:
                writer.write_table(pa.concat_tables(waiting))
        summary = summarise(_scores(path, run))
        summary = pa.concat_tables([summary, pa.Table.from_pylist(distances.rows(), summary.schema)])
        run.folder.put_file(METRIC_TABLE, path)
    buffer = io.BytesIO()
    pq.write_table(summary, buffer, compression="zstd")
    run.folder.put(SUMMARY_TABLE, buffer.getvalue())
    run.layout.outlet.conclude(_ok_rows(run))
    return TableSummary(quarantined=counts["rows"] - counts["ok"], **counts)


def _ok_rows(run: RunFolder) -> Iterator[dict[str, Any]]:
    for _, table in current_rows(run):
        yield from table.filter(pc.equal(table["status"], OK)).to_pylist()


def read_metrics(run: RunFolder, columns: list[str] | None = None) -> pa.Table:
    """The metric table, with its metadata."""
    with run.folder.open(METRIC_TABLE) as file:
        return pq.read_table(pa.PythonFile(file, mode="r"), columns=columns)


def read_summary(run: RunFolder) -> pa.Table:
    """The summary table."""
    return pq.read_table(io.BytesIO(run.folder.read(SUMMARY_TABLE)))


def _current(run: RunFolder, counts: dict[str, int]) -> Iterator[pa.Table]:
    for table, kept in current_rows(run):
        _count(counts, table, kept)
        if len(kept):
            yield kept


def _count(counts: dict[str, int], table: pa.Table, kept: pa.Table) -> None:
    good = pc.equal(kept["status"], OK)
    counts["superseded"] += len(table) - len(kept)
    counts["rows"] += len(kept)
    counts["ok"] += pc.sum(good).as_py() or 0
    counts["images"] += pc.count_distinct(kept["source_id"]).as_py()
    counts["images_quarantined"] += pc.count_distinct(kept.filter(pc.invert(good))["source_id"]).as_py()


def _scores(path: Path, run: RunFolder) -> pa.Table:
    scores = [f"{m}{suffix}" for m in run.job.metrics for suffix in ("", "_degraded")]
    columns = ["dataset", "key", "source_id", "degradation", "restorer", "status", "reason", *scores]
    return pq.read_table(path, columns=columns)


def _metadata(run: RunFolder) -> dict[str, Any]:
    protocols = {name: dataclasses.asdict(METRICS[name].protocol) for name in run.job.metrics}
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
    }
