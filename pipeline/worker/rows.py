"""Rows of a unit: what was made of an image, or what went wrong with it."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.ledger.row_builder import RowBuilder
from pipeline.ledger.schema import Row
from pipeline.processing.cases import Outcome
from pipeline.quarantine import quarantine_columns
from pipeline.recipe.recipe import Recipe
from pipeline.units import Source, Unit


@dataclass(frozen=True)
class Rows:
    """Makes the rows of one replica."""

    recipe: Recipe
    row: RowBuilder
    """The columns that every row has."""

    def of_outcome(self, outcome: Outcome, unit: Unit) -> Row:
        """All but what is stored of it; without a status, unless it failed."""
        row = self.row(outcome.loaded.source, unit, outcome.degradation, outcome.restorer)
        image = outcome.loaded.image
        height, width, channels = image.size
        row |= {"source_bytes": outcome.loaded.size, "source_sha256": outcome.loaded.sha256}
        row |= {"height": height, "width": width, "channels": channels, "dtype": image.domain.dtype}
        row |= outcome.fields
        return row if outcome.error is None else row | quarantine_columns(outcome.error, outcome.stage)

    def quarantined(self, source: Source, unit: Unit, error: Exception) -> list[Row]:
        """An image that failed before any combination: a row for each that it owes."""
        return [
            self.row(source, unit, degradation, restorer) | quarantine_columns(error, "decode")
            for degradation, restorer in self.recipe.combinations
        ]
