"""The ranking of restorers on one dataset under one degradation, ready for the page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipeline.jobs.job import NO_DEGRADATION
from pipeline.report.notation import MISSING, decimals_for, number, scale_percent

PAIRS_SHOWN = 45
INPUT_STRETCH = 2.5
"""The bars' scale reaches to the input unless that makes it so many times as wide."""

Record = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """One restorer in a ranking. Texts are ready to print; percentages place the bar on the table's scale."""

    restorer: str
    mark: str
    """``best`` where the paired interval against every other excludes zero, ``tied`` first, or empty."""
    record: Record
    """The summary's row."""
    mean: str
    interval: str
    gain: str
    bar_left: float
    bar_width: float
    dot: float
    others: list[str]
    """Means of the other metrics."""


@dataclass(frozen=True)
class Ranking:
    """One dataset under one degradation, ranked by one metric."""

    dataset: str
    degradation: str
    metric: str
    places: list[Place]
    other_metrics: list[str]
    input_mean: str
    input_others: list[str]
    input_dot: float | None
    """Below 0 or above 100 where the input is too far off to be drawn."""
    scale: tuple[str, str]
    """What the ends of the bars' scale stand for."""
    pairs: list[Record]
    """Paired comparisons with texts, those of the first restorer in front."""
    pairs_hidden: int

    @property
    def setting(self) -> tuple[str, ...]:
        """The dataset, and the degradation where there is one."""
        return (self.dataset,) if self.degradation == NO_DEGRADATION else (self.dataset, self.degradation)

    @property
    def has_input(self) -> bool:
        """Whether the degraded input has a score to be held against."""
        return any(text != MISSING for text in (self.input_mean, *self.input_others))

    @property
    def leaders(self) -> list[str]:
        """The first, and whoever is tied with it."""
        return [place.restorer for place in self.places if place.mark] or [
            p.restorer for p in self.places[:1]
        ]


def rankings(
    summary: pa.Table, comparisons: pa.Table | None, protocols: Mapping[str, Mapping[str, Any]]
) -> list[Ranking]:
    """A ranking by the first metric for each dataset x degradation of the summary."""
    if not protocols:
        return []
    pairs: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for pair in comparisons.to_pylist() if comparisons is not None else []:
        if pair["metric"] == next(iter(protocols)):
            pairs[pair["dataset"], pair["degradation"]].append(pair)
    groups: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in summary.to_pylist():
        groups[record["dataset"], record["degradation"]].append(record)
    return [_ranking(group, pairs[cell], protocols) for cell, group in groups.items()]


def _ranking(group: list[Record], pairs: list[Record], protocols: Mapping[str, Mapping[str, Any]]) -> Ranking:
    metric, *other_metrics = protocols
    by_metric = {name: {r["restorer"]: r for r in group if r["metric"] == name} for name in protocols}
    records = sorted(
        by_metric[metric].values(), key=lambda r: _order(r, protocols[metric]["higher_is_better"])
    )
    places = decimals_for([r["mean"] for r in records])
    input_mean = _first(r["mean_degraded"] for r in records)
    low, high = _scale(records, input_mean)
    others = [_column(by_metric[name], [r["restorer"] for r in records]) for name in other_metrics]
    marks = _marks([r["restorer"] for r in records if r["mean"] is not None], pairs)
    ordered = sorted(pairs, key=lambda pair: not records or records[0]["restorer"] not in _names(pair))
    return Ranking(
        dataset=group[0]["dataset"],
        degradation=group[0]["degradation"],
        metric=metric,
        places=[
            _place(
                record,
                marks.get(record["restorer"], ""),
                places,
                (low, high),
                [column[i] for column in others],
            )
            for i, record in enumerate(records)
        ],
        other_metrics=other_metrics,
        input_mean=number(input_mean, places),
        input_others=[column[-1] for column in others],
        input_dot=None if input_mean is None else scale_percent(input_mean, low, high),
        scale=(number(low, places), number(high, places)),
        pairs=[_pair_texts(pair) for pair in ordered[:PAIRS_SHOWN]],
        pairs_hidden=max(len(pairs) - PAIRS_SHOWN, 0),
    )


def _place(record: Record, mark: str, decimals: int, scale: tuple[float, float], others: list[str]) -> Place:
    mean, low, high = record["mean"], record["low"], record["high"]
    left = None if low is None else scale_percent(low, *scale)
    return Place(
        restorer=record["restorer"],
        mark=mark,
        record=record,
        mean="∞" if mean is None and record["n_infinite"] else number(mean, decimals),
        interval="" if low is None else f"{number(low, decimals)} to {number(high, decimals)}",
        gain=number(record["gain"], decimals, signed=True),
        bar_left=left or 0.0,
        bar_width=0.0 if left is None else round(scale_percent(high, *scale) - left, 2),
        dot=-1.0 if mean is None else scale_percent(mean, *scale),
        others=others,
    )


def by_place(ranked: Sequence[Ranking]) -> list[str]:
    """All restorers, by their mean place over the rankings they stand in."""
    places: dict[str, list[int]] = defaultdict(list)
    for ranking in ranked:
        for i, place in enumerate(ranking.places):
            places[place.restorer].append(i)
    return sorted(places, key=lambda name: (sum(places[name]) / len(places[name]), name))


def _order(record: Record, higher_is_better: bool) -> tuple[bool, float, str]:
    mean = record["mean"]
    if mean is None:
        # All infinite is better than any number; nothing at all is last.
        return (record["n_infinite"] == 0, -float("inf"), record["restorer"])
    return (False, -mean if higher_is_better else mean, record["restorer"])


def _names(pair: Record) -> tuple[str, str]:
    return pair["restorer_a"], pair["restorer_b"]


def _marks(ranked: Sequence[str], pairs: list[Record]) -> dict[str, str]:
    """Who is best, or who shares the first place. Without comparisons nobody is marked, nor by one image."""
    pairs = [pair for pair in pairs if pair["n"] > 1]
    if len(ranked) < 2 or not pairs:
        return {}
    first = ranked[0]
    tied = [
        next(name for name in _names(pair) if name != first)
        for pair in pairs
        if first in _names(pair) and pair["better"] != first and set(_names(pair)) <= set(ranked)
    ]
    return dict.fromkeys([first, *tied], "tied") if tied else {first: "best"}


def _scale(records: list[Record], input_mean: float | None) -> tuple[float, float]:
    """The range of all intervals, and of the input's mean unless that is far off, with a little air."""
    values = [r[name] for r in records for name in ("mean", "low", "high") if r[name] is not None]
    low, high = min(values, default=0.0), max(values, default=1.0)
    if input_mean is not None:
        wide_low, wide_high = min(low, input_mean), max(high, input_mean)
        if low == high or wide_high - wide_low <= INPUT_STRETCH * (high - low):
            low, high = wide_low, wide_high
    air = (high - low) * 0.04
    return low - (air if low - air >= 0 or low < 0 else 0.0), high + air


def _column(records: Mapping[str, Record], restorers: Sequence[str]) -> list[str]:
    """Means of one metric in the ranking's order, the input's mean last."""
    means = [records[name]["mean"] if name in records else None for name in restorers]
    means.append(_first(record["mean_degraded"] for record in records.values()))
    decimals = decimals_for(means)
    return [number(mean, decimals) for mean in means]


def _first(values: Any) -> float | None:
    return next((float(value) for value in values if value is not None), None)


def _pair_texts(pair: Record) -> Record:
    decimals = decimals_for([pair["difference"], pair["low"], pair["high"]])
    decimals = min(decimals, 4)
    ends = [number(pair[end], decimals, signed=True) for end in ("low", "high")]
    return pair | {
        "difference": number(pair["difference"], decimals, signed=True),
        "interval": "" if pair["low"] is None else " to ".join(ends),
    }
