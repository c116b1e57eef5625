"""Means by a column that the datasets carry: by site, year, camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.report.notation import decimals_for, number

VALUES_SHOWN = 20
"""Of one column, those of most images."""
_NO_VALUE = "–"


@dataclass(frozen=True)
class GroupTable:
    """One carried column of one dataset under one degradation."""

    column: str
    setting: str
    restorers: list[str]
    rows: list[tuple[str, int, list[str]]]
    """A value, how many images have it, and the mean of each restorer."""
    hidden: int
    """Values left out for want of space."""


def group_tables(table: pa.Table, carried: Sequence[str], metric: str | None) -> list[GroupTable]:
    """A table for each column, dataset and degradation, over finite scores; none without a metric."""
    if metric is None:
        return []
    good = table.filter(
        pc.and_(pc.equal(table["status"], "ok"), pc.is_finite(table[metric]).fill_null(False))
    )
    return [each for column in carried if column in table.column_names for each in _of(good, column, metric)]


def _of(good: pa.Table, column: str, metric: str) -> list[GroupTable]:
    names = ["dataset", "degradation", column, "restorer"]
    records = (
        good.group_by(names, use_threads=False).aggregate([(metric, "mean"), (metric, "count")]).to_pylist()
    )
    settings: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for record in records:
        if record[column] is not None:
            settings.setdefault((record["dataset"], record["degradation"]), []).append(record)
    return [_table(column, ", ".join(setting), mine, metric) for setting, mine in settings.items()]


def _table(column: str, setting: str, records: list[dict[str, Any]], metric: str) -> GroupTable:
    restorers = sorted({record["restorer"] for record in records})
    decimals = decimals_for([record[f"{metric}_mean"] for record in records])
    means = {(each[column], each["restorer"]): each[f"{metric}_mean"] for each in records}
    counts: dict[str, int] = {}
    for each in records:
        counts[each[column]] = max(counts.get(each[column], 0), each[f"{metric}_count"])
    shown = sorted(sorted(counts, key=lambda value: -counts[value])[:VALUES_SHOWN])
    rows = [
        (value, counts[value], [_text(means.get((value, name)), decimals) for name in restorers])
        for value in shown
    ]
    return GroupTable(column, setting, restorers, rows, len(counts) - len(shown))


def _text(mean: float | None, decimals: int) -> str:
    return _NO_VALUE if mean is None else number(mean, decimals)
