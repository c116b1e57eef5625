"""Distances of a run: one number per dataset x degradation x restorer, from the features in the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from pipeline.distances import DISTANCES
from pipeline.distances.columns import features_of
from pipeline.distances.summary import FeatureSummary
from pipeline.ledger.schema import OK

Group = tuple[str, str, str]
"""Dataset, degradation, restorer."""

OF = {"restored": "features", "degraded": "features_degraded", "reference": "features_reference"}
"""Set of images -> column of the ledger."""


class DistanceTable:
    """``add`` parts of the ledger in any order, then ``rows``: about 100 MB a group, however many images."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._sets: dict[Group, dict[str, FeatureSummary]] = {}
        self._quarantined: dict[Group, int] = {}

    def add(self, table: pa.Table) -> None:
        """Sums up the rows of a part."""
        rows: dict[Group, list[dict[str, Any]]] = {}
        columns = ["dataset", "degradation", "restorer", "source_id", "status", *OF.values()]
        for row in table.select(columns).to_pylist():
            rows.setdefault((row["dataset"], row["degradation"], row["restorer"]), []).append(row)
        for group, members in rows.items():
            good = [row for row in members if row["status"] == OK]
            self._quarantined[group] = self._quarantined.get(group, 0) + len(members) - len(good)
            self._merge(group, [row for row in good if None not in [row[column] for column in OF.values()]])

    def _merge(self, group: Group, rows: list[dict[str, Any]]) -> None:
        sets = self._sets.setdefault(group, {})
        if not rows:
            return
        names = [row["source_id"] for row in rows]
        for name, column in OF.items():
            part = FeatureSummary.of(features_of([row[column] for row in rows]), names)
            sets[name] = sets[name].merge(part) if name in sets else part

    def rows(self) -> list[dict[str, Any]]:
        """Fields of the summary table; the distance is ``mean``, null for fewer than two images."""
        return [
            self._row(group, name, sets) for group, sets in sorted(self._sets.items()) for name in self._names
        ]

    def _row(self, group: Group, name: str, sets: dict[str, FeatureSummary]) -> dict[str, Any]:
        dataset, degradation, restorer = group
        count = sets["restored"].count if sets else 0
        row: dict[str, Any] = {
            "dataset": dataset,
            "degradation": degradation,
            "restorer": restorer,
            "metric": name,
        }
        row |= {"n": count, "n_quarantined": self._quarantined[group]}
        if count < 2:
            return row
        distance = DISTANCES[name].function
        own = distance(sets["degraded"], sets["reference"])
        mean = distance(sets["restored"], sets["reference"])
        return row | {"mean": mean, "mean_degraded": own, "gain": own - mean}
