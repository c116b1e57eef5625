"""What a unit still owes its outlet before it is committed: shards, descriptions, deliveries."""

from __future__ import annotations

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
    faults = outlet.finish(unit.sources, rows, locate)
    return [
        row | _NO_OBJECTS | _columns(faults[row["source_id"]])
        if row["status"] == OK and row["source_id"] in faults
        else row
        for row in rows
    ]


def _columns(error: Exception) -> Row:
    return quarantine_columns(error if isinstance(error, ImageError) else StagedError.of_writing(error))
