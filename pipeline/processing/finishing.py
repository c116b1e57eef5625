"""What a unit still owes its outlet before it is committed: shards, descriptions, deliveries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.doors.outlet import Locate, Outlet
from pipeline.errors import ImageError
from pipeline.ledger.schema import OK, Row
from pipeline.quarantine import StagedError, quarantine_columns
from pipeline.units import Unit

_NO_OBJECTS = dict.fromkeys(
    f"{kind}_{column}" for kind in ("output", "degraded") for column in ("uri", "sha256", "bytes")
)


def finish(unit: Unit, rows: list[Row], outlet: Outlet, locate: Locate) -> list[Row]:
    """The rows, those quarantined whose result could not be stored with its unit."""
    told = outlet.finish(unit.sources, rows, locate)
    return [
        row | _columns(told[row["source_id"]]) if row["status"] == OK and row["source_id"] in told else row
        for row in rows
    ]


def _columns(told: Exception | Mapping[str, Any]) -> Row:
    if not isinstance(told, Exception):
        return dict(told)
    error = told if isinstance(told, ImageError) else StagedError.of_writing(told)
    return _NO_OBJECTS | quarantine_columns(error)
