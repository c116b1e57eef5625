"""What strips know of the scores of their scene: parts of metrics, by column, that merge in any order."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pipeline.ledger.schema import Row
from pipeline.metrics.accumulating import Accumulating
from pipeline.scenes.geometry import Range

_INPUT = "_degraded"
"""Ending of the columns that score the restorer's input."""


@dataclass
class ScoreTotals:
    """Of some bands of a scene."""

    bands: list[Range] = field(default_factory=list)
    """Rows that were counted, band by band."""
    parts: dict[str, Tensor] = field(default_factory=dict)
    """By metric, and by metric with the ending of the input."""

    def add(self, name: str, metric: Accumulating, part_1K: Tensor, *, of_input: bool) -> None:
        """Takes in a window; ``name`` is the job's, which is the column."""
        self._merge(metric, name + (_INPUT if of_input else ""), part_1K)

    def merge(self, others: ScoreTotals, metrics: Mapping[str, Accumulating]) -> None:
        """Takes in those of other bands."""
        self.bands += others.bands
        for column, part_1K in others.parts.items():
            self._merge(metrics[column.removesuffix(_INPUT)], column, part_1K)

    def scores(self, metrics: Mapping[str, Accumulating]) -> Row:
        """Columns of the scene's row; null where undefined."""
        found = {
            column: metrics[column.removesuffix(_INPUT)].score(part_1K).item()
            for column, part_1K in self.parts.items()
        }
        return {column: None if score != score else score for column, score in found.items()}

    def to_json(self) -> str:
        """One line; every number as it is."""
        parts = {column: part_1K[0].tolist() for column, part_1K in self.parts.items()}
        return json.dumps({"bands": self.bands, "parts": parts})

    @classmethod
    def from_json(cls, text: str) -> ScoreTotals:
        """Back from ``to_json``."""
        record = json.loads(text)
        parts = {
            column: torch.tensor([each], dtype=torch.float64) for column, each in record["parts"].items()
        }
        return cls([(first, last) for first, last in record["bands"]], parts)

    def _merge(self, metric: Accumulating, column: str, part_1K: Tensor) -> None:
        so_far = self.parts.get(column)
        part_1K = part_1K.cpu()
        self.parts[column] = part_1K if so_far is None else metric.merged(so_far, part_1K)
