"""A run's rankings, from its tables, and as plain rows.

Imports inside functions keep torch, Ray and tables out of the start-up of every command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.ledger.run_folder import RunFolder
    from pipeline.report.ranking import Ranking


def rankings_of(run_folder: RunFolder) -> list[Ranking]:
    """One ranking per dataset and degradation, by the job's first metric; none without metrics."""
    from pipeline.report.ranking import rankings
    from pipeline.results import statistics, tables

    metrics = run_folder.job.metrics
    if not metrics:
        return []
    columns = ["dataset", "degradation", "key", "restorer", "status", *metrics]
    table = tables.read_report_rows(run_folder, columns)
    comparisons = statistics.compare(table, metrics[0])
    return rankings(tables.read_summary(run_folder), comparisons, statistics.protocols(table))


def records(rankings: list[Ranking]) -> list[dict[str, Any]]:
    """The rankings as plain rows, for a table that others draw."""
    return [
        {
            "dataset": ranking.dataset,
            "degradation": ranking.degradation,
            "restorer": place.restorer,
            ranking.metric: place.mean,
            "95 % interval": place.interval,
            "gain": place.gain,
            **dict(zip(ranking.other_metrics, place.others, strict=True)),
            "n": place.record["n"],
            "quarantined": place.record["n_quarantined"],
        }
        for ranking in rankings
        for place in ranking.places
    ]
