"""The ledger's columns as tables have them: units in the fields' metadata, nothing null that is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from pipeline.hashing import canonical_json, seed_of
from pipeline.ledger.run_folder import RunFolder
from pipeline.ledger.schema import repeated
from pipeline.metrics import METRICS

UNITS: Mapping[str, str] = {
    "source_bytes": "byte",
    "reference_bytes": "byte",
    "output_bytes": "byte",
    "degraded_bytes": "byte",
    "height": "pixel",
    "width": "pixel",
    "clipped_pixels": "pixel",
    "seconds": "s",
    "psnr_estimate": "dB",
    "psnr_floor": "dB",
    "uncertainty_mean": "fraction of the data range",
    "uncertainty_p95": "fraction of the data range",
    "uncertainty_max": "fraction of the data range",
    "uncertainty_bytes": "byte",
    "flags": "patch",
    "nodata_share": "1",
    "data_low": "stored value",
    "data_high": "stored value",
}
"""Of the fixed columns that measure something; a metric has the unit of its protocol."""


def written_as(schema: pa.Schema) -> dict[str, Any]:
    """How Parquet files of a table's rows are written: options of ``ParquetWriter``.

    The least and the greatest of texts of which each stands once tell no reader anything.
    """
    dictionary = repeated(schema)
    numbers = [each.name for each in schema if pa.types.is_primitive(each.type)]
    return {
        "compression": "zstd",
        "use_dictionary": dictionary,
        "write_statistics": [each for each in schema.names if each in dictionary or each in numbers],
    }


def with_units(field: pa.Field) -> pa.Field:
    """The field with ``unit`` in its metadata, where it has one."""
    metric = METRICS.get(field.name.removesuffix("_degraded").removesuffix("_bands"))
    unit = metric.protocol.unit if metric is not None else UNITS.get(field.name)
    return field if unit is None else field.with_metadata({"unit": unit})


def completed(table: pa.Table, run: RunFolder, schema: pa.Schema) -> pa.Table:
    """The rows under ``schema``: columns that an older ledger lacks are null, seeds are all there.

    A quarantined row has its seed too: a column of large integers with gaps becomes floats in pandas, and
    loses their last digits.
    """
    missing = [name for name in schema.names if name not in table.column_names]
    for name in missing:
        table = table.append_column(name, pa.nulls(len(table), schema.field(name).type))
    table = table.select(schema.names).cast(schema)
    if table["seed"].null_count and run.specification["degradations"]:
        place = schema.get_field_index("seed")
        seeds = pa.array(_seeds(table, run), schema.field("seed").type)
        table = table.set_column(place, schema.field(place), seeds)
    return table


def _seeds(table: pa.Table, run: RunFolder) -> list[Any]:
    """The seed of each row, out of its names as ``Degradation.seed`` has it."""
    of = {each["name"]: canonical_json(each) for each in run.specification["degradations"]}
    names = (table[name].to_pylist() for name in ("seed", "dataset", "key", "degradation"))
    job_seed = str(run.job.seed)
    return [
        seed
        if seed is not None or degradation not in of
        else seed_of(job_seed, dataset, key, of[degradation])
        for seed, dataset, key, degradation in zip(*names, strict=True)
    ]
