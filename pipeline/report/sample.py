"""Which images the report shows, and their pixels once they are made again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.report.pixels import Pixels as Pixels
from pipeline.results.cells import Cell, cells
from pipeline.results.statistics import direction_of, scores_of

PICTURES = 30
"""At most so many pictures stand in one page, each as a whole, a crop and a difference map."""
RESTORERS_SHOWN = 6

Rank = Literal["best", "median", "worst", "example"]
RANKS: tuple[Rank, ...] = ("best", "median", "worst", "example")


@dataclass(frozen=True)
class Pick:
    """An image worth showing."""

    dataset: str
    key: str
    degradation: str
    rank: Rank
    """``example`` where nothing was scored, as in a restore run."""


@dataclass(frozen=True)
class Sample:
    """A pick with its pixels: uint8 H x W x C, C of 1 (grey), 3 (RGB) or more (the first three are shown)."""

    dataset: str
    key: str
    degradation: str
    rank: Rank
    reference_HWC: Pixels | None
    degraded_HWC: Pixels | None
    """May be smaller than the reference, as the restorers got it; none where they were not run here."""
    restored: Mapping[str, Pixels]
    """Restorer -> pixels."""
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Restorer -> metric -> score."""
    note: str = ""
    """How bands and values were turned into colours; empty where nothing was."""


def sheets_that_fit(restorers: int) -> int:
    """How many sheets the page's picture limit leaves for this many restorers, at least one."""
    return max(PICTURES // (2 + min(restorers, RESTORERS_SHOWN)), 1)


def pick_samples(table: pa.Table, metric: str | None, n: int = 9) -> list[Pick]:
    """At most ``n`` images to show, fewer where many restorers make the sheets wide.

    With a metric: the best, median and worst image of each dataset x degradation by the mean score over
    restorers, of datasets and degradations spread evenly where not all fit. Without one (a restore
    run): examples spread evenly over the keys. Quarantined images are never picked.
    """
    ok = table.filter(pc.equal(table["status"], "ok"))
    groups = list(cells(ok))
    n = min(n, sheets_that_fit(max((len(cell.restorers) for cell in groups), default=0)))
    if metric is None:
        return [pick for cell in _spread(groups, n) for pick in _examples(cell, max(n // len(groups), 1))]
    signed = direction_of(table, metric) * scores_of(ok, metric)
    picks = [pick for cell in _spread(groups, -(-n // 3)) for pick in _ranked(cell, signed)][:n]
    return sorted(picks, key=lambda pick: (pick.dataset, pick.degradation, RANKS.index(pick.rank)))


def _spread(items: list[Any], n: int) -> list[Any]:
    """At most n of the items, evenly spaced, first and last among them."""
    if len(items) <= n:
        return items
    return [items[round(i)] for i in np.linspace(0, len(items) - 1, n)]


def _examples(cell: Cell, n: int) -> list[Pick]:
    return [Pick(cell.dataset, key, cell.degradation, "example") for key in _spread(list(cell.keys), n)]


def _ranked(cell: Cell, signed: NDArray[np.float64]) -> list[Pick]:
    """Best, worst and median, most telling first, of images that all restorers managed if there are any."""
    signed_NR = cell.pivot(signed)
    known_N = ~np.isnan(signed_NR).any(axis=1)
    if not known_N.any():
        known_N = ~np.isnan(signed_NR).all(axis=1)
    images = np.flatnonzero(known_N)
    if not len(images):
        return []
    order = images[np.argsort(np.nanmean(signed_NR[images], axis=1), kind="stable")[::-1]]
    places: dict[Rank, int] = {"best": 0, "worst": len(order) - 1, "median": len(order) // 2}
    chosen: dict[int, Rank] = {}
    for rank, place in places.items():
        chosen.setdefault(int(order[place]), rank)
    return [Pick(cell.dataset, cell.keys[image], cell.degradation, rank) for image, rank in chosen.items()]
