"""A unit between its beginning and its commit."""

from __future__ import annotations

from pipeline.ledger.schema import Row
from pipeline.units import Unit
from pipeline.worker.recorder import Begun


class UnitUnderWay:
    """Counts what it still owes."""

    def __init__(self, unit: Unit, combinations: int) -> None:
        self.unit = unit
        self.begun = Begun()
        self.rows: list[Row] = []
        self.images_ahead = len(unit.sources)
        """Images that the device has not begun, and that have not failed before it."""
        self._owed = len(unit.sources) * combinations

    @property
    def is_complete(self) -> bool:
        """Whether every row is there."""
        return len(self.rows) >= self._owed

    def sorted_rows(self) -> list[Row]:
        """The rows in the order in which they are committed."""
        return sorted(
            self.rows, key=lambda row: (row["dataset"], row["key"], row["degradation"], row["restorer"])
        )
