"""Distortion against perception: what a restorer wins in one it often pays in the other.

Blau and Michaeli, "The Perception-Distortion Tradeoff", CVPR 2018; Blau et al., "The 2018 PIRM challenge on
perceptual image super-resolution", ECCV workshops 2018.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from markupsafe import Markup

from pipeline.report.figures import ACCENT, BAND, FAINT, INK, inline_svg, plain_figure
from pipeline.report.notation import decimals_for, number

PLANES_SHOWN, RESTORERS_SHOWN, PERCEPTIONS_SHOWN = 6, 12, 2
_PERCEPTION = re.compile(
    r"lpips|dists|niqe|piqe|brisque|musiq|maniqa|clip_?iqa|topiq|pieapp|nima|haarpsi", re.I
)
"""Names of scores of perception, those of packages too: nothing but how a page is drawn hangs on it."""
_DISTORTION = ("psnr", "psnr_y", "rmse", "mse", "mae", "ssim", "ssim_y")

Record = dict[str, Any]


@dataclass(frozen=True)
class Spot:
    """One restorer, or the input, in a plane."""

    number: str
    """As it stands beside the dot; empty for the input."""
    name: str
    across: tuple[float, float, float]
    """Mean of the distortion and the ends of its interval: the mean thrice where there is none."""
    up: tuple[float, float, float]


@dataclass(frozen=True)
class Plane:
    """Of one dataset under one degradation; texts are ready to print."""

    dataset: str
    degradation: str
    distortion: str
    perception: str
    drawing: Markup
    rows: list[tuple[str, str, str, str]]
    """(Number, restorer, distortion and perception with their intervals)."""


def planes_of(summary: pa.Table, protocols: Mapping[str, Mapping[str, Any]]) -> list[Plane]:
    """From the summary; none where the run has no score of either kind."""
    distortion = next((name for name in _DISTORTION if name in protocols), None)
    perceptions = [name for name in protocols if _PERCEPTION.search(name)][:PERCEPTIONS_SHOWN]
    if distortion is None:
        return []
    cells: dict[tuple[str, str], list[Record]] = {}
    for record in summary.to_pylist():
        cells.setdefault((record["dataset"], record["degradation"]), []).append(record)
    found = list[Plane]()
    for cell, records in cells.items():
        for perception in perceptions:
            ways = [bool(protocols[name]["higher_is_better"]) for name in (distortion, perception)]
            spots = _spots(records, distortion, perception, -1 if ways[0] else 1)
            if len(spots) > 1 and len(found) < PLANES_SHOWN:
                axes = [_axis(name, protocols[name]) for name in (distortion, perception)]
                drawing = _drawing(spots, axes, ways, f"p{len(found)}")
                found.append(Plane(*cell, distortion, perception, drawing, _rows(spots)))
    return found


def _spots(records: Sequence[Record], distortion: str, perception: str, way: int) -> list[Spot]:
    """The restorers with both scores, the best by distortion first, and their input last."""
    scores = [{r["restorer"]: r for r in records if r["metric"] == name} for name in (distortion, perception)]
    both = [name for name in scores[0] if all(_known(each.get(name), "mean") for each in scores)]
    both.sort(key=lambda name: way * scores[0][name]["mean"])
    spots = [
        Spot(str(place), name, _interval(scores[0][name]), _interval(scores[1][name]))
        for place, name in enumerate(both[:RESTORERS_SHOWN], 1)
    ]
    inputs = [next((r for r in each.values() if _known(r, "mean_degraded")), None) for each in scores]
    if spots and inputs[0] is not None and inputs[1] is not None:
        across, up = (float(each["mean_degraded"]) for each in inputs if each is not None)
        spots.append(Spot("", "input", (across,) * 3, (up,) * 3))
    return spots


def _known(record: Record | None, name: str) -> bool:
    return record is not None and record[name] is not None


def _interval(record: Record) -> tuple[float, float, float]:
    mean = float(record["mean"])
    if record["low"] is None:
        return mean, mean, mean
    return mean, float(record["low"]), float(record["high"])


def _axis(name: str, protocol: Mapping[str, Any]) -> str:
    unit = "" if protocol["unit"] == "1" else f", {protocol['unit']}"
    return f"{name}{unit}"


def _drawing(spots: Sequence[Spot], axes_names: Sequence[str], ways: Sequence[bool], name: str) -> Markup:
    """Dots with their intervals as crosses; better is to the right and up, whichever way a score points."""
    with plain_figure(height=2.9) as (figure, axes):
        axes.grid(axis="both", color=BAND, linewidth=0.8)
        for spot in spots:
            (across, left, right), (up, low, high) = spot.across, spot.up
            colour = ACCENT if spot.number else FAINT
            axes.plot([left, right], [up, up], color=colour, linewidth=1.6)
            axes.plot([across, across], [low, high], color=colour, linewidth=1.6)
            axes.plot([across], [up], marker="o" if spot.number else "s", markersize=5, color=colour)
            axes.annotate(
                spot.number or spot.name, (across, up), xytext=(5, 4), textcoords="offset points",
                color=INK if spot.number else FAINT,
            )  # fmt: skip
        axes.margins(0.1)
        axes.tick_params(axis="y", length=0)
        axes.locator_params(axis="y", nbins=5)
        axes.set_xlabel(axes_names[0])
        axes.set_ylabel(axes_names[1])
        if not ways[0]:
            axes.invert_xaxis()
        if not ways[1]:
            axes.invert_yaxis()
        return inline_svg(figure, name)


def _rows(spots: Sequence[Spot]) -> list[tuple[str, str, str, str]]:
    places = [decimals_for([value for spot in spots for value in way(spot)]) for way in (_across, _up)]
    return [
        (spot.number, spot.name, _text(spot.across, places[0]), _text(spot.up, places[1])) for spot in spots
    ]


def _across(spot: Spot) -> tuple[float, float, float]:
    return spot.across


def _up(spot: Spot) -> tuple[float, float, float]:
    return spot.up


def _text(interval: tuple[float, float, float], decimals: int) -> str:
    mean, low, high = interval
    if low == high:
        return number(mean, decimals)
    return f"{number(mean, decimals)} ({number(low, decimals)} to {number(high, decimals)})"
