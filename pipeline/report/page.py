"""One self-contained HTML page about a finished run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from pipeline.report import notation
from pipeline.report.attention import MOVEMENT, attention, sheet_labels
from pipeline.report.doubt_picture import DoubtPicture
from pipeline.report.doubts import doubts_of
from pipeline.report.drawings import distribution_figures, gain_figures, input_scores
from pipeline.report.environment import css, environment
from pipeline.report.explained_image import ExplainedImage
from pipeline.report.floors import floors_of
from pipeline.report.groups import group_tables
from pipeline.report.headline import headline
from pipeline.report.planes import planes_of
from pipeline.report.ranking import Ranking, by_place, rankings
from pipeline.report.run_facts import QUARANTINE_SHOWN, fact_lines, quarantine, run_facts
from pipeline.report.run_provenance import RunProvenance
from pipeline.report.sample import Sample, sheets_that_fit
from pipeline.report.sheets import Sheet, magma, make_sheet
from pipeline.results.cells import cells
from pipeline.results.statistics import protocols, scores_of, worst

RANKINGS_SHOWN = 40
PICTURE_CHARACTERS = 5_500_000
"""Sheets stop when their pictures, in base64, grow beyond this."""


def build_page(
    table: pa.Table,
    summary: pa.Table,
    comparisons: pa.Table | None,
    samples: Iterable[Sample],
    provenance: RunProvenance,
    explained: Sequence[ExplainedImage] = (),
    doubted: Iterable[DoubtPicture] = (),
) -> str:
    """The report as HTML text: no request leaves it, nothing needs JavaScript.

    ``table`` is the metric table with its schema metadata, ``summary`` what ``statistics.summarise`` gives,
    ``comparisons`` what ``statistics.compare`` gives for the first metric (further metrics may be
    appended; ``None`` marks nobody as best), ``samples`` the pixels of ``pick_samples``, asked for
    once the figures are drawn; ``explained`` what was looked into besides, ``doubted`` maps of
    the images of ``doubts.most_doubtful``.
    """
    known = protocols(table)
    facts = run_facts(table)
    ranked = rankings(summary, comparisons, known)
    figures, gains = distribution_figures(table, ranked, known), gain_figures(ranked, known)
    samples = list(samples)
    sheets = _sheets(samples, ranked)
    found = attention(table) if facts.kind == "restore" else None
    floors = floors_of(table) if facts.ok else None
    doubts = doubts_of(table, list(doubted)) if facts.ok else None
    trusted = [each.sentence for each in (floors, doubts) if each is not None]
    return (
        environment()
        .get_template("page.jinja")
        .render(
            facts=facts,
            fact_lines=fact_lines(facts, provenance),
            headline=" ".join([*trusted, headline(facts, ranked, known, found)]),
            floors=floors,
            doubts=doubts,
            attention=found,
            movement=MOVEMENT,
            sheet_labels=sheet_labels(found) if facts.kind == "restore" else {},
            rankings=ranked[:RANKINGS_SHOWN],
            restorers=by_place(ranked),
            rankings_hidden=max(len(ranked) - RANKINGS_SHOWN, 0),
            worst=_worst(table, ranked[:RANKINGS_SHOWN]),
            figures=figures,
            gains=gains,
            planes=planes_of(summary, known),
            groups=group_tables(table, carried_in(facts.job), next(iter(known), None)),
            sheets=sheets,
            sheets_hidden=len(samples) - len(sheets),
            degraded_scores=_degraded_scores(table, sheets, known),
            colours=_gradient(),
            decimals=_decimals(summary),
            quarantine=quarantine(table),
            quarantine_shown=QUARANTINE_SHOWN,
            protocols=known,
            provenance=provenance,
            explained_images=explained,
            css=css(),
        )
    )


def carried_in(job: Mapping[str, Any]) -> list[str]:
    """The columns that a job's datasets carry, out of its plain values."""
    return list(dict.fromkeys(name for each in job.get("datasets", ()) for name in each.get("carry", ())))


def _sheets(samples: Iterable[Sample], ranked: Sequence[Ranking]) -> list[Sheet]:
    """As many sheets as the page has room for, restorers in the order of their ranking."""
    order = {(r.dataset, r.degradation): {p.restorer: i for i, p in enumerate(r.places)} for r in ranked}
    sheets: list[Sheet] = []
    room = PICTURE_CHARACTERS
    for sample in samples:
        if len(sheets) >= sheets_that_fit(len(sample.restored)):
            break
        sheet = make_sheet(sample, order.get((sample.dataset, sample.degradation), {}))
        room -= sheet.size
        if room < 0:
            break
        sheets.append(sheet)
    return sheets


def _worst(table: pa.Table, ranked: Sequence[Ranking]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """The five worst images of each ranking's first restorer."""
    if not ranked:
        return {}
    first = {(r.dataset, r.degradation): r.places[0].restorer for r in ranked if r.places}
    found: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in worst(table, ranked[0].metric).to_pylist():
        cell = row["dataset"], row["degradation"]
        if first.get(cell) == row["restorer"]:
            found[cell].append(row)
    return found


def _degraded_scores(
    table: pa.Table, sheets: Sequence[Sheet], known: Mapping[str, Any]
) -> dict[tuple[str, str, str], dict[str, float | None]]:
    """(dataset, degradation, key) -> metric -> score of the input, for the images on the sheets."""
    wanted = {(s.sample.dataset, s.sample.degradation, s.sample.key) for s in sheets}
    found: dict[tuple[str, str, str], dict[str, float | None]] = {each: {} for each in wanted}
    columns = {metric: scores_of(table, f"{metric}_degraded") for metric in known}
    for cell in cells(table) if wanted and known else ():
        inputs = {metric: input_scores(cell.pivot(column)) for metric, column in columns.items()}
        for i, key in enumerate(cell.keys):
            if (cell.dataset, cell.degradation, key) in wanted:
                found[cell.dataset, cell.degradation, key] = {m: float(s[i]) for m, s in inputs.items()}
    return found


def _decimals(summary: pa.Table) -> dict[str, int]:
    """Metric -> decimals that suit its means everywhere."""
    means: dict[str, list[float | None]] = defaultdict(list)
    for record in summary.select(["metric", "mean", "mean_degraded"]).to_pylist():
        means[record["metric"]] += [record["mean"], record["mean_degraded"]]
    return {metric: notation.decimals_for(values) for metric, values in means.items()}


def _gradient() -> str:
    """The difference maps' colours as CSS colour stops."""
    return ", ".join("#{:02x}{:02x}{:02x}".format(*magma()[i]) for i in range(0, 256, 15))
