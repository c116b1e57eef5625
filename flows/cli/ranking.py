"""The summary table as people read it: one ranking per dataset and degradation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.ledger.run_folder import Books
    from pipeline.report.ranking import Ranking


def rankings_of(books: Books) -> list[Ranking]:
    """The rankings by the job's first metric, from the tables; none without metrics."""
    from pipeline.report.ranking import rankings
    from pipeline.results import statistics, tables

    metrics = books.job.metrics
    if not metrics:
        return []
    columns = ["dataset", "degradation", "key", "restorer", "status", *metrics]
    table = tables.read_metrics(books, columns)
    comparisons = statistics.compare(table, metrics[0])
    return rankings(tables.read_summary(books), comparisons, statistics.protocols(table))


def drawn(ranking: Ranking, console: Console) -> Table:
    """A ranking for the terminal; of the other metrics as many as its width takes."""
    unbounded = console.options.update(max_width=10_000)
    for others in range(len(ranking.other_metrics), 0, -1):
        table = _table(ranking, others)
        if console.measure(table, options=unbounded).maximum <= console.width:
            return table
    return _table(ranking, 0)


def _table(ranking: Ranking, others: int) -> Table:
    table = Table(
        title=", ".join(ranking.setting),
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("restorer", no_wrap=True)
    gain = ("gain",) if ranking.has_input else ()
    for name in (ranking.metric, "95 % interval", *gain, *ranking.other_metrics[:others], "n", "bad"):
        table.add_column(name, justify="right", no_wrap=True)
    for place in ranking.places:
        name = f"{place.restorer} ({place.mark})" if place.mark else place.restorer
        counts = (str(place.record["n"]), str(place.record["n_quarantined"]))
        style = "bold" if place.mark == "best" else ""
        gained = (place.gain,) if ranking.has_input else ()
        table.add_row(name, place.mean, place.interval, *gained, *place.others[:others], *counts, style=style)
    if ranking.has_input:
        others_of_input = ranking.input_others[:others]
        table.add_row("input", ranking.input_mean, "", "", *others_of_input, "", "", style="dim")
    return table


def records(rankings: list[Ranking]) -> list[dict[str, Any]]:
    """The rankings as plain rows, for a table that somebody else draws."""
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
