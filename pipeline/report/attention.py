"""What to look at in a restore run: the images that moved most, since nothing there can rank a restorer.

A score without a reference says how far an image moved or how it looks, never how right it is: doing nothing
moves nothing. So the page names images to look at, and nobody as best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.report.notation import decimals_for, number
from pipeline.results.statistics import direction_of, protocols, scores_of

IMAGES_SHOWN = 10
MOVEMENT = ("consistency", "consistency_worst_tile")
"""Metrics that say how far the restored image moved from its input, most telling first."""


@dataclass(frozen=True)
class Attention:
    """The images to look at first, by one metric; texts are ready to print."""

    metric: str
    phrase: str
    """``moved most`` or, by a metric of another sort, ``scores worst``."""
    metrics: list[str]
    """Columns of the table, ``metric`` first."""
    images: list[dict[str, Any]]
    """Dataset, key and ``texts``, one per metric; what is to be looked at first in front."""
    hidden: int
    """Scored images left out for want of space."""


def focus(metrics: Sequence[str]) -> str | None:
    """The metric that says where to look: one of movement where the run has it, else its first."""
    return next((name for name in MOVEMENT if name in metrics), metrics[0] if metrics else None)


def attention(table: pa.Table) -> Attention | None:
    """Where to look, or ``None`` where nothing has a finite score."""
    known = protocols(table)
    metric = focus(list(known))
    if metric is None:
        return None
    score_N = scores_of(table, metric)
    finite = np.flatnonzero(np.isfinite(score_N))
    if not len(finite):
        return None
    order = finite[np.argsort(direction_of(table, metric) * score_N[finite], kind="stable")]
    metrics = [metric, *(name for name in known if name != metric)]
    shown = table.take(pa.array(order[:IMAGES_SHOWN]))
    return Attention(
        metric=metric,
        phrase="moved most" if metric in MOVEMENT else "scores worst",
        metrics=metrics,
        images=_images(shown, metrics),
        hidden=max(len(order) - IMAGES_SHOWN, 0),
    )


def _images(shown: pa.Table, metrics: Sequence[str]) -> list[dict[str, Any]]:
    columns = []
    for name in metrics:
        values = [float(score) for score in scores_of(shown, name)]
        decimals = decimals_for([score for score in values if np.isfinite(score)])
        columns.append([number(score, decimals) for score in values])
    names = shown.select(["dataset", "key"]).to_pylist()
    return [name | {"texts": [column[i] for column in columns]} for i, name in enumerate(names)]


def sheet_labels(found: Attention | None) -> Mapping[str, str]:
    """What a sheet's rank is called in a restore run, where no image is best."""
    if found is None:
        return {"example": "example"}
    most, least = ("moved most", "moved least")
    if found.metric not in MOVEMENT:
        most, least = f"{found.metric}: worst", f"{found.metric}: first"
    return {"worst": most, "median": "in the middle", "best": least, "example": "example"}
