"""A ranking as the terminal shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.report.ranking import Ranking


def ranking_table(ranking: Ranking, console: Console) -> Table:
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
