"""What the metric table says: means with intervals, paired differences with tests, worst images.

Axes: N images, R restorers, K columns. Intervals: see ``pipeline.results.bootstrap``.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.ledger.schema import is_ok
from pipeline.results.bootstrap import Floats, bootstrap_interval
from pipeline.results.cells import cells
from pipeline.results.signed_rank import signed_rank_p

SUMMARY_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("dataset", "degradation", "restorer", "metric")]
    + [(name, pa.float64()) for name in ("mean", "median", "low", "high")]
    + [(name, pa.int64()) for name in ("n", "n_quarantined", "n_infinite", "n_undefined")]
    + [(name, pa.float64()) for name in ("mean_degraded", "gain", "gain_low", "gain_high")]
)
COMPARISON_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("dataset", "degradation", "metric", "restorer_a", "restorer_b")]
    + [("n", pa.int64())]
    + [(name, pa.float64()) for name in ("difference", "low", "high", "p", "p_holm", "win_rate")]
    + [("better", pa.string())]
)
WORST_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("dataset", "degradation", "restorer")]
    + [("rank", pa.int64()), ("key", pa.string()), ("score", pa.float64()), ("score_degraded", pa.float64())]
)


def protocols(table: pa.Table) -> dict[str, dict[str, Any]]:
    """Protocol of each metric with a column in the table, from the schema metadata, in the job's order."""
    header = json.loads((table.schema.metadata or {}).get(b"restora", b"{}"))
    return {name: each for name, each in header.get("protocols", {}).items() if name in table.column_names}


def direction_of(table: pa.Table, metric: str) -> float:
    """1 where higher is better, -1 where lower is; ``ValueError`` for a metric that the table lacks."""
    known = protocols(table)
    if metric not in known:
        raise ValueError(
            f"metric {metric!r}: the table knows {', '.join(known) or 'no metric'}; choose one of these"
        )
    return 1.0 if known[metric]["higher_is_better"] else -1.0


def scores_of(table: pa.Table, column: str) -> Floats:
    """A score column as float64, NaN where it is null or the row is quarantined."""
    score_ = table[column].cast(pa.float64()).to_numpy(zero_copy_only=False)
    return np.where(is_ok(table), score_, np.nan)


def summarise(table: pa.Table) -> pa.Table:
    """One row per dataset x degradation x restorer x metric (``SUMMARY_SCHEMA``).

    ``mean``, ``median`` and the 95 % interval ``low``..``high`` are over the ``n`` images with a finite
    score; ``n + n_infinite + n_undefined + n_quarantined`` is the number of rows. ``gain`` is the mean over
    images of what the restorer won over its own input, positive where it helped, whichever way the
    metric points. Intervals are null for fewer than two images. A table without metrics gives no rows.
    """
    known = protocols(table)
    directions = {metric: direction_of(table, metric) for metric in known}
    columns = {name: scores_of(table, name) for metric in known for name in (metric, f"{metric}_degraded")}
    ok = is_ok(table)
    rows: list[dict[str, Any]] = []
    for cell in cells(table):
        ok_NR = (cell.rows >= 0) & ok[cell.rows]
        quarantined_R = np.count_nonzero((cell.rows >= 0) & ~ok_NR, axis=0)
        for metric, direction in directions.items():
            score_NR = cell.pivot(columns[metric])
            degraded_NR = cell.pivot(columns[f"{metric}_degraded"])
            measured = _measured(score_NR, degraded_NR, ok_NR, direction)
            for i, restorer in enumerate(cell.restorers):
                names = {"dataset": cell.dataset, "degradation": cell.degradation, "restorer": restorer}
                numbers = {name: value_R[i].item() for name, value_R in measured.items()}
                rows.append(names | {"metric": metric, "n_quarantined": int(quarantined_R[i])} | numbers)
    return _table(rows, SUMMARY_SCHEMA)


def _measured(
    score_NR: Floats, degraded_NR: Floats, ok_NR: NDArray[np.bool_], direction: float
) -> dict[str, NDArray[Any]]:
    """The numbers of the summary, one per restorer."""
    finite_NR = _finite(score_NR)
    gain_NR = direction * (finite_NR - _finite(degraded_NR))
    low_R, high_R = bootstrap_interval(finite_NR)
    gain_low_R, gain_high_R = bootstrap_interval(gain_NR)
    return {
        "mean": _mean(finite_NR),
        "median": np.array(
            [np.median(each[~np.isnan(each)]) if _any(each) else np.nan for each in finite_NR.T]
        ),
        "low": low_R,
        "high": high_R,
        "n": np.count_nonzero(~np.isnan(finite_NR), axis=0),
        "n_infinite": np.count_nonzero(np.isinf(score_NR), axis=0),
        "n_undefined": np.count_nonzero(ok_NR & np.isnan(score_NR), axis=0),
        "mean_degraded": _mean(_finite(degraded_NR)),
        "gain": _mean(gain_NR),
        "gain_low": gain_low_R,
        "gain_high": gain_high_R,
    }


def _any(values: Floats) -> bool:
    return bool(np.any(~np.isnan(values)))


def _finite(values: Floats) -> Floats:
    return np.where(np.isfinite(values), values, np.nan)


def _mean(values_NK: Floats) -> Floats:
    """Mean over images of what is not NaN; NaN where nothing is left."""
    n_K = np.count_nonzero(~np.isnan(values_NK), axis=0)
    mean_K = np.full(len(n_K), np.nan)
    np.divide(np.nansum(values_NK, axis=0), n_K, out=mean_K, where=n_K > 0)
    return mean_K


def compare(table: pa.Table, metric: str) -> pa.Table:
    """One row per dataset x degradation x pair of restorers (``COMPARISON_SCHEMA``).

    ``difference`` is the mean over images of a minus b, in the metric's unit, over the ``n`` images where
    both scores are finite, with its 95 % interval; ``better`` names the winner where that interval excludes
    zero and is null where the two are tied. ``p`` is the two-sided Wilcoxon signed-rank test (zeros
    dropped; 1 where all differences are zero), ``p_holm`` the same after Holm's correction over the
    pairs of one dataset x degradation. ``win_rate`` is the share of images where a is better, ties
    counting half; here infinite scores count too.
    """
    direction, column = direction_of(table, metric), scores_of(table, metric)
    rows: list[dict[str, Any]] = []
    for cell in cells(table):
        score_NR = cell.pivot(column)
        names = {"dataset": cell.dataset, "degradation": cell.degradation, "metric": metric}
        pairs = [
            names | {"restorer_a": cell.restorers[a], "restorer_b": cell.restorers[a + 1 + i]} | pair
            for a in range(len(cell.restorers) - 1)
            for i, pair in enumerate(_paired(score_NR[:, a], score_NR[:, a + 1 :], direction))
        ]
        for pair, p_holm in zip(pairs, holm(np.array([pair["p"] for pair in pairs])), strict=True):
            rows.append(pair | {"p_holm": p_holm, "better": _better(pair, direction)})
    return _table(rows, COMPARISON_SCHEMA)


def _paired(a_N: Floats, b_NK: Floats, direction: float) -> list[dict[str, Any]]:
    """One restorer against each of the others."""
    difference_NK = _finite(a_N)[:, None] - _finite(b_NK)
    low_K, high_K = bootstrap_interval(difference_NK)
    both_NK = ~np.isnan(a_N)[:, None] & ~np.isnan(b_NK)
    # Compared, not subtracted: inf against inf is a tie, inf against a number a win.
    sign_NK = direction * (np.greater(a_N[:, None], b_NK) * 1.0 - np.less(a_N[:, None], b_NK))
    win_NK = np.where(both_NK, (sign_NK + 1.0) / 2.0, np.nan)
    return [
        {
            "n": int(np.count_nonzero(~np.isnan(difference_N))),
            "difference": mean,
            "low": low,
            "high": high,
            "p": signed_rank_p(difference_N[~np.isnan(difference_N)]),
            "win_rate": win_rate,
        }
        for difference_N, mean, low, high, win_rate in zip(
            difference_NK.T, _mean(difference_NK), low_K, high_K, _mean(win_NK), strict=True
        )
    ]


def _better(pair: dict[str, Any], direction: float) -> str | None:
    if direction * pair["low"] > 0 and direction * pair["high"] > 0:
        return str(pair["restorer_a"])
    if direction * pair["low"] < 0 and direction * pair["high"] < 0:
        return str(pair["restorer_b"])
    return None


def worst(table: pa.Table, metric: str, n: int = 5) -> pa.Table:
    """The ``n`` worst images of each dataset x degradation x restorer (``WORST_SCHEMA``), worst first."""
    direction = direction_of(table, metric)
    score, degraded = scores_of(table, metric), scores_of(table, f"{metric}_degraded")
    rows: list[dict[str, Any]] = []
    for cell in cells(table):
        score_NR, degraded_NR = cell.pivot(score), cell.pivot(degraded)
        for i, restorer in enumerate(cell.restorers):
            order = np.argsort(direction * score_NR[:, i], kind="stable")[:n]  # NaN sorts last
            for rank, image in enumerate(order[~np.isnan(score_NR[order, i])], start=1):
                names = {"dataset": cell.dataset, "degradation": cell.degradation, "restorer": restorer}
                scores = {"score": score_NR[image, i], "score_degraded": degraded_NR[image, i]}
                rows.append(names | {"rank": rank, "key": cell.keys[image]} | scores)
    return _table(rows, WORST_SCHEMA)


def _table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """Rows as a table; NaN, which is how "undefined" travels here, becomes null."""
    return pa.table(
        {
            name: pa.array([row[name] for row in rows], type=kind, from_pandas=True)
            for name, kind in zip(schema.names, schema.types, strict=True)
        },
        schema=schema,
    )


def holm(p_K: Floats) -> Floats:
    """Holm's step-down correction (Scand. J. Statist. 6, 1979); NaN stays NaN and does not count."""
    adjusted_K = np.full(len(p_K), np.nan)
    known = np.flatnonzero(~np.isnan(p_K))
    order = known[np.argsort(p_K[known], kind="stable")]
    stepped = p_K[order] * np.arange(len(order), 0, -1)
    adjusted_K[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return adjusted_K
