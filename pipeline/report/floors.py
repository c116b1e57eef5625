"""What an archivist asks first: how many floors lie below what is needed, and of which images.

Every number stands beside its condition: calibration and archive must be exchangeable.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from markupsafe import Markup

from pipeline.report.figures import Distribution, distributions
from pipeline.results.statistics import scores_of
from pipeline.results.trust_counts import LADDER, below, counts_of, known, reasons_without
from pipeline.wording import number_of

IMAGES_SHOWN = 10


@dataclass(frozen=True)
class Floors:
    """Of a restore run with a calibration; texts are ready to print."""

    level: float
    needed: float
    images: int
    """That have a floor."""
    below: int
    ladder: list[tuple[str, int, str]]
    """(dB, images whose floor is lower, their share)."""
    lowest: list[dict[str, Any]]
    """Dataset, key, ``floor`` and ``estimate`` of the images with the lowest floors, lowest first."""
    hidden: int
    without: list[tuple[str, int, str]]
    """(Reason code, images without a floor, what one of them says)."""
    condition: str
    calibration: str
    """How many images it is of, and how well it held on images that it had not seen."""
    distribution: Markup | None
    reliability: Markup | None

    @property
    def sentence(self) -> str:
        """For the headline."""
        if not self.images:
            return "No image has a floor under its PSNR: all lie outside the calibration."
        promise = f"each floor holds for {self.level:.0%} of images like those of the calibration"
        return (
            f"{self.below:,} of {number_of(self.images, 'image')} with a floor under the PSNR "
            f"{'has' if self.below == 1 else 'have'} one below {self.needed:g} dB; {promise}."
        )


def floors_of(table: pa.Table) -> Floors | None:
    """From a metric table with its metadata; ``None`` where the run had no calibration."""
    header = json.loads((table.schema.metadata or {}).get(b"restora", b"{}"))
    protocol = header.get("psnr_estimate", {}).get("psnr_floor")
    if protocol is None:
        return None
    needed = float(header["job"]["psnr_needed"])
    floor_N, estimate_N = scores_of(table, "psnr_floor"), scores_of(table, "psnr_estimate")
    counts, drawn = counts_of(table), np.flatnonzero(np.isfinite(floor_N))
    images = counts[known("psnr_floor")]
    order = drawn[np.argsort(floor_N[drawn], kind="stable")]
    names = table.select(["dataset", "key"]).take(pa.array(order[:IMAGES_SHOWN])).to_pylist()
    return Floors(
        level=protocol["level"],
        needed=needed,
        images=images,
        below=counts[below(needed)],
        ladder=_ladder(counts, needed),
        lowest=[
            name | {"floor": f"{floor_N[row]:.1f}", "estimate": f"{estimate_N[row]:.1f}"}
            for name, row in zip(names, order, strict=False)
        ],
        hidden=max(images - IMAGES_SHOWN, 0),
        without=reasons_without(table, "psnr_floor"),
        condition=protocol["condition"],
        calibration=_calibration(protocol),
        distribution=_distribution(floor_N[drawn], estimate_N[drawn]),
        reliability=reliability_drawing(protocol["reliability"]),
    )


def _ladder(counts: Mapping[str, int], needed: float) -> list[tuple[str, int, str]]:
    images = max(counts[known("psnr_floor")], 1)
    rows = [(decibels, counts[below(decibels)]) for decibels in sorted({*LADDER, needed})]
    return [(f"{decibels:g}", number, f"{number / images:.1%}") for decibels, number in rows]


def _calibration(protocol: dict[str, Any]) -> str:
    text = f"The calibration is of {number_of(protocol['images'], 'image')}"
    held = dict(map(tuple, protocol["reliability"])).get(protocol["level"])
    if held is not None:
        text += f"; of those that it had not seen it covered {held:.1%}"
        text += (
            f", with floors {protocol['slack']:.2f} dB below the truth on average"
            if protocol["slack"]
            else ""
        )
    return f"{text}."


def _distribution(floor_N: Any, estimate_N: Any) -> Markup | None:
    if not len(floor_N):
        return None
    lines = [Distribution("floor", floor_N), Distribution("estimate", estimate_N, is_input=True)]
    return distributions(lines, "dB", "floors")


def reliability_drawing(points: Sequence[Sequence[float]]) -> Markup | None:
    """Share of unseen images that were covered against the level that was promised: on the line is right."""
    if not points:
        return None
    side, margin = 200, 34

    def place(level: float, covered: float) -> tuple[float, float]:
        across = margin + (level - 0.4) / 0.6 * side
        return across, margin / 2 + (1 - (covered - 0.4) / 0.6) * side

    (left, bottom), (right, top) = place(0.4, 0.4), place(1.0, 1.0)
    parts = [
        f'<svg viewBox="0 0 {side + 2 * margin} {side + 1.6 * margin:.0f}" aria-hidden="true" '
        'xmlns="http://www.w3.org/2000/svg" style="max-width:19rem">',
        f'<path d="M{left:.1f} {top:.1f}V{bottom:.1f}H{right:.1f}" fill="none" stroke="var(--faint)"/>',
        f'<path d="M{left:.1f} {bottom:.1f}L{right:.1f} {top:.1f}" stroke="var(--ink)" stroke-width="1"/>',
    ]
    for tick in (0.5, 0.7, 0.9):
        across, height = place(tick, tick)
        parts.append(
            _text(across, bottom + 14, "middle", f"{tick:g}")
            + _text(left - 5, height + 4, "end", f"{tick:g}")
        )
    for level, covered in points:
        across, height = place(level, max(covered, 0.4))
        parts.append(f'<circle cx="{across:.1f}" cy="{height:.1f}" r="4" fill="var(--accent)"/>')
    parts.append(_text((left + right) / 2, bottom + 30, "middle", "promised"))
    return Markup("".join([*parts, "</svg>"]))  # safe: numbers and words of ours alone


def _text(x: float, y: float, anchor: str, text: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="11" fill="var(--ink)" text-anchor="{anchor}">{text}</text>'
    )
