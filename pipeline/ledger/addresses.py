"""Where the objects of rows are: the ledger holds keys below the output, so that an output can be moved.

Rows written before hold addresses; their keys follow from the source's own, wherever the output is now.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.ledger.layout import Layout
from pipeline.ledger.run_folder import RunFolder
from pipeline.ledger.schema import OK

ADDRESSES = ("output_uri", "degraded_uri", "uncertainty_uri")
"""Columns that hold keys in the ledger, and addresses in the tables."""


def key_of(row: Mapping[str, Any], column: str, layout: Layout) -> str:
    """The key, relative to the output, of the object that a row names in one of ``ADDRESSES``."""
    value = str(row[column])
    if not _is_address(value):
        return value
    part = "degraded" if column == "degraded_uri" or layout.kind == "degrade" else row["restorer"]
    stem = layout.stem(row["dataset"], row["key"], row["degradation"], part)
    place = value.rfind(f"/{stem}")
    return value[place + 1 :] if place >= 0 else value


def with_addresses(table: pa.Table, run: RunFolder) -> pa.Table:
    """The rows with the addresses that their objects have now."""
    for column in (each for each in ADDRESSES if each in table.column_names):
        keys = table[column]
        if keys.null_count == len(keys):
            continue
        if pc.any(_are_addresses(keys)).as_py():  # rows written before, and results that are on a server
            rows = _rows(table, column)
            found = [None if row[column] is None else key_of(row, column, run.layout) for row in rows]
            keys = pa.array(found, pa.string())
        place = table.schema.get_field_index(column)
        joined = pc.binary_join_element_wise(run.root.url, keys, "/")
        addresses = pc.if_else(_are_addresses(keys), keys, joined)
        table = table.set_column(place, table.schema.field(place), addresses)
    return table


def promised(table: pa.Table, run: RunFolder) -> Iterator[tuple[dict[str, Any], str, str | None]]:
    """Every object that the ok rows owe: the row, ``output`` or ``degraded``, its key; None where a row
    names none."""
    layout = run.layout
    kinds = ["output"] if layout.keeps_restored or layout.kind == "degrade" else []
    kinds += ["degraded"] if layout.keeps_degraded else []
    for kind in (*kinds, *(["uncertainty"] if run.job.save_uncertainty else [])):
        for row in _rows(table, f"{kind}_uri", "status", "source_id", f"{kind}_sha256", f"{kind}_bytes"):
            named = row[f"{kind}_uri"] is not None
            # An image that has no intervals owes no map of them.
            if row["status"] == OK and (named or kind != "uncertainty"):
                yield row, kind, key_of(row, f"{kind}_uri", layout) if named else None


def _rows(table: pa.Table, *columns: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.select(
        ["dataset", "key", "degradation", "restorer", *columns]
    ).to_pylist()
    return rows


def _are_addresses(keys: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    return pc.match_substring_regex(keys, "^/|://")


def _is_address(value: str) -> bool:
    """Keys never look like this: their empty segments are escaped."""
    return value.startswith("/") or "://" in value
