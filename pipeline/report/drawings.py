"""Which figures a page carries, and the scores behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from markupsafe import Markup
from numpy.typing import NDArray

from pipeline.report.figures import Distribution, Interval, distributions, gains
from pipeline.report.ranking import Ranking
from pipeline.results.cells import Cell, cells
from pipeline.results.statistics import scores_of

DISTRIBUTIONS_SHOWN, GAINS_SHOWN = 6, 12
"""Rankings that get figures: the first ones; the tables hold the rest."""
LINES_SHOWN, METRICS_SHOWN = 12, 6

Floats = NDArray[np.float64]
Protocols = Mapping[str, Mapping[str, Any]]


def distribution_figures(
    table: pa.Table, ranked: Sequence[Ranking], protocols: Protocols
) -> list[tuple[Ranking, list[tuple[str, Markup]]]]:
    """(metric, drawing) pairs of the first rankings, best restorer on top, the input below."""
    shown = {(ranking.dataset, ranking.degradation): ranking for ranking in ranked[:DISTRIBUTIONS_SHOWN]}
    if not shown:
        return []
    metrics = list(protocols)[:METRICS_SHOWN]
    columns = {name: scores_of(table, name) for m in metrics for name in (m, f"{m}_degraded")}
    figures: list[tuple[Ranking, list[tuple[str, Markup]]]] = []
    for cell in cells(table):
        ranking = shown.get((cell.dataset, cell.degradation))
        if ranking is None:
            continue
        drawings: list[tuple[str, Markup]] = []
        for metric in metrics:
            lines = _lines(cell, ranking, columns[metric], columns[f"{metric}_degraded"])
            if lines:
                name = f"d{len(figures)}-{len(drawings)}"
                drawings.append((metric, distributions(lines, str(protocols[metric]["unit"]), name)))
        if drawings:
            figures.append((ranking, drawings))
    return figures


def _lines(cell: Cell, ranking: Ranking, score: Floats, degraded: Floats) -> list[Distribution]:
    score_NR = cell.pivot(score)
    place = {name: k for k, name in enumerate(cell.restorers)}
    names = [each.restorer for each in ranking.places[:LINES_SHOWN]]
    lines = [Distribution(name, _finite(score_NR[:, place[name]])) for name in names]
    lines.append(Distribution("input", _finite(input_scores(cell.pivot(degraded))), is_input=True))
    return [line for line in lines if len(line.values_N)]


def _finite(score_N: Floats) -> Floats:
    return score_N[np.isfinite(score_N)]


def input_scores(degraded_NR: Floats) -> Floats:
    """The degraded input's score of each image (N), from whichever restorer's row has one."""
    first_N = np.argmin(np.isnan(degraded_NR), axis=1)
    return np.asarray(degraded_NR[np.arange(len(degraded_NR)), first_N])


def gain_figures(ranked: Sequence[Ranking], protocols: Protocols) -> list[tuple[Ranking, Markup]]:
    """One drawing of mean gains for each of the first rankings that has any."""
    figures = []
    for i, ranking in enumerate(ranked[:GAINS_SHOWN]):
        lines = [
            Interval(
                place.restorer, place.record["gain"], place.record["gain_low"], place.record["gain_high"]
            )
            for place in ranking.places[:LINES_SHOWN]
            if place.record["gain"] is not None
        ]
        if lines:
            figures.append((ranking, gains(lines, str(protocols[ranking.metric]["unit"]), f"g{i}")))
    return figures
