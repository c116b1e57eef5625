"""The columns of the ledger: one row per image x degradation x restorer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.errors import JobError
from pipeline.jobs.job import Job

OK = "ok"

QUARANTINED = "quarantined"

COLUMNS = pa.schema(
    [
        ("dataset", pa.string()),
        ("key", pa.string()),
        ("source_id", pa.string()),
        ("source_uri", pa.string()),
        ("source_bytes", pa.int64()),
        ("source_sha256", pa.string()),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("channels", pa.int32()),
        ("dtype", pa.string()),
        ("data_low", pa.float64()),
        ("data_high", pa.float64()),
        ("data_range_rule", pa.string()),
        ("nodata_share", pa.float64()),
        ("degradation", pa.string()),
        ("degradation_params", pa.string()),
        ("condition", pa.string()),
        ("seed", pa.int64()),
        ("restorer", pa.string()),
        ("restorer_sha256", pa.string()),
        ("recipe_id", pa.string()),
        ("unit_id", pa.string()),
        ("attempt", pa.int32()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("stage", pa.string()),
        ("message", pa.string()),
        ("clipped_pixels", pa.int64()),
        ("output_uri", pa.string()),
        ("output_sha256", pa.string()),
        ("output_bytes", pa.int64()),
        ("degraded_uri", pa.string()),
        ("degraded_sha256", pa.string()),
        ("degraded_bytes", pa.int64()),
        ("host", pa.string()),
        ("device", pa.string()),
        ("seconds", pa.float64()),
        ("code_version", pa.string()),
        ("plugins", pa.string()),
        ("finished_at", pa.timestamp("us", tz="UTC")),
    ]
)
"""One row per image x degradation x restorer; every metric M adds ``M`` and ``M_degraded``."""

Row = dict[str, Any]
"""Values under the names of the schema; absent ones are null."""

REFERENCE_COLUMNS = pa.schema(
    [
        ("reference_key", pa.string()),
        ("reference_uri", pa.string()),
        ("reference_sha256", pa.string()),
        ("reference_bytes", pa.int64()),
    ]
)
"""What an image was scored against, where its job has references."""

ESTIMATE_COLUMNS = pa.schema(
    [
        ("psnr_estimate", pa.float64()),
        ("psnr_floor", pa.float64()),
        ("psnr_reason", pa.string()),
        ("psnr_evidence", pa.string()),
    ]
)
"""Estimate and lower bound of the PSNR in dB, why one of them is null, and the numbers that both rest on."""

UNCERTAINTY_COLUMNS = pa.schema(
    [
        ("uncertainty_mean", pa.float64()),
        ("uncertainty_p95", pa.float64()),
        ("uncertainty_max", pa.float64()),
        ("uncertainty_reason", pa.string()),
        ("uncertainty_evidence", pa.string()),
        ("uncertainty_uri", pa.string()),
        ("uncertainty_sha256", pa.string()),
        ("uncertainty_bytes", pa.int64()),
    ]
)
"""Half-widths of intervals as fractions of the range, why there are none, what they rest on, and their
map."""

FLAG_COLUMNS = pa.schema(
    [("flags", pa.int64()), ("flags_reason", pa.string()), ("flags_evidence", pa.string())]
)
"""Patches that hold what the input does not support, why they were not counted, and the scores behind it."""

TRUST_REASONS = {
    "psnr_floor": "psnr_reason",
    "uncertainty_mean": "uncertainty_reason",
    "flags": "flags_reason",
}
"""Columns of how far an image can be trusted, each with the one that says why it is null."""

IN_STRIPS = "STRIPS: a scene that is restored in strips is never looked at as a whole"
"""Such a reason, of scenes; rows of before have none at all."""

FEATURES = ("features", "features_degraded", "features_reference")
"""Columns of the ledger, not of the tables, where a job asks for distances: see ``pipeline.distances``."""


def schema_of(job: Job) -> pa.Schema:
    """The columns that a job asks for."""
    columns = list(schema(job.metrics, bool(job.distances), job.per_band))
    columns += list(REFERENCE_COLUMNS) if job.is_paired else []
    columns += list(ESTIMATE_COLUMNS) if job.estimates_psnr else []
    columns += list(UNCERTAINTY_COLUMNS) if job.has_uncertainty else []
    columns += list(FLAG_COLUMNS) if job.flags else []
    return pa.schema(columns + [pa.field(name, pa.string()) for name in carried_names(job)])


def carried_names(job: Job) -> list[str]:
    """The columns that a job's datasets carry into its tables, in the order of the job."""
    return list(dict.fromkeys(name for each in job.datasets for name in each.carry))


def refuse_names(job: Job) -> None:
    """``JobError`` for a column to carry that has the name of a column of ours."""
    carried = carried_names(job)
    ours = schema(job.metrics, True, job.per_band).names
    ours += [*REFERENCE_COLUMNS.names, *ESTIMATE_COLUMNS.names, *UNCERTAINTY_COLUMNS.names]
    ours += FLAG_COLUMNS.names
    for name in carried:
        if name in ours:
            raise JobError(f'carry: "{name}" is a column of the tables already; rename it in the manifest')


def schema(metrics: Iterable[str], features: bool = False, per_band: Iterable[str] = ()) -> pa.Schema:
    """The fixed columns, two float64 columns per metric, lists of them per band, features where wanted."""
    fields = [pa.field(f"{m}{suffix}", pa.float64()) for m in metrics for suffix in ("", "_degraded")]
    of_bands = pa.list_(pa.float64())
    fields += [pa.field(f"{m}_bands{suffix}", of_bands) for m in per_band for suffix in ("", "_degraded")]
    if features:
        fields += [pa.field(name, pa.binary()) for name in FEATURES]
    return pa.schema([*COLUMNS, *fields])


_OF_ONE_ROW = re.compile(
    "key|source_id|seed|(source|reference|output|degraded|uncertainty)_(uri|sha256|key)|.*_evidence|features.*"
)


def repeated(schema: pa.Schema) -> list[str]:
    """Columns in which values stand many times, so that a dictionary makes a Parquet file smaller.

    In others none does, and to try one takes as long as to write them, and longer than to read them.
    """
    ranges = ("data_low", "data_high")
    return [
        field.name
        for field in schema
        if not _OF_ONE_ROW.fullmatch(field.name)
        and not pa.types.is_nested(field.type)
        and (field.name in ranges or not pa.types.is_floating(field.type))
    ]


def is_ok(table: pa.Table) -> NDArray[np.bool_]:
    """For each row whether it is ok; no object of Python is made for any."""
    found = pc.equal(table["status"], OK).fill_null(False)
    return np.asarray(found.to_numpy(zero_copy_only=False), np.bool_)
