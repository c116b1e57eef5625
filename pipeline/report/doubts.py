"""Where a restore run is unsure and what it may have invented: which images, how many, with what condition.

Every number stands beside its condition: calibration and archive must be exchangeable.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.report.doubt_picture import DoubtPicture, Named
from pipeline.results.statistics import scores_of
from pipeline.results.trust_counts import counts_of, flagged, known, reasons_without
from pipeline.wording import number_of

IMAGES_SHOWN = 10
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Doubt:
    """One kind of it; texts are ready to print."""

    title: str
    anchor: str
    sentence: str
    calibration: str
    """How many images the promise was drawn from, and what it came to on images that it had not seen."""
    condition: str
    columns: tuple[str, ...]
    images: list[dict[str, Any]]
    """Dataset, key and ``texts``, one per column; the most doubtful in front."""
    hidden: int
    unsaid: str
    """Title of the images that have none."""
    without: list[tuple[str, int, str]]
    """(Reason code, images, what one of them says)."""


@dataclass(frozen=True)
class Doubts:
    """All that a restore run says of it."""

    kinds: list[Doubt]
    pictures: list[DoubtPicture]

    @property
    def sentence(self) -> str:
        """For the headline."""
        return " ".join(each.sentence for each in self.kinds)


def doubts_of(table: pa.Table, pictures: list[DoubtPicture]) -> Doubts | None:
    """From a metric table with its metadata; ``None`` where the run has neither intervals nor flags."""
    header = json.loads((table.schema.metadata or {}).get(b"restora", b"{}"))
    kinds = [each for each in (_intervals(table, header), _flags(table, header)) if each is not None]
    return Doubts(kinds, pictures) if kinds else None


def most_doubtful(table: pa.Table, count: int = IMAGES_SHOWN) -> list[Named]:
    """Images to be shown with their maps: lowest floors, widest intervals and most flags, taking turns."""
    orders = []
    for name, sign in (("psnr_floor", 1.0), ("uncertainty_mean", -1.0), ("flags", -1.0)):
        if name in table.column_names:
            value_N = sign * scores_of(table, name)
            drawn = np.flatnonzero(np.isfinite(value_N) & ((value_N != 0) | (name != "flags")))
            orders.append(drawn[np.argsort(value_N[drawn], kind="stable")])
    turns = [int(order[turn]) for turn in range(count) for order in orders if turn < len(order)]
    names = table.select(["dataset", "key"]).take(pa.array(turns, pa.int64())).to_pylist()
    return list(dict.fromkeys((each["dataset"], each["key"]) for each in names))[:count]


def _intervals(table: pa.Table, header: dict[str, Any]) -> Doubt | None:
    protocol = header.get("uncertainty", {})
    if "condition" not in protocol or "uncertainty_mean" not in table.column_names:
        return None
    mean_N, high_N = 255 * scores_of(table, "uncertainty_mean"), 255 * scores_of(table, "uncertainty_p95")
    images, drawn = counts_of(table)[known("uncertainty_mean")], np.flatnonzero(np.isfinite(mean_N))
    sentence = "No image has intervals about its pixels: all lie outside the calibration."
    if images:
        some, middle = number_of(images, "image"), f"±{np.median(mean_N[drawn]):.1f} of 255"
        sentence = f"Intervals about the pixels of {some} are {middle} wide at the median image."
    return Doubt(
        title="Widest intervals",
        anchor="widest",
        sentence=sentence,
        calibration=_calibration(protocol, protocol["alpha"]),
        condition=protocol["condition"],
        columns=("mean half-width, of 255", "95 % of samples below"),
        images=_named(table, drawn[np.argsort(-mean_N[drawn], kind="stable")], (mean_N, high_N), 1),
        hidden=max(images - IMAGES_SHOWN, 0),
        unsaid="Images without intervals",
        without=reasons_without(table, "uncertainty_mean"),
    )


def _flags(table: pa.Table, header: dict[str, Any]) -> Doubt | None:
    protocol = header.get("flags", {})
    if "condition" not in protocol or "flags" not in table.column_names:
        return None
    flags_N = scores_of(table, "flags")
    counts, some = counts_of(table), np.flatnonzero(flags_N > 0)
    images, doubtful = counts[known("flags")], counts[flagged()]
    sentence = (
        f"{doubtful:,} of {number_of(images, 'image')} {'has' if doubtful == 1 else 'have'} patches "
        f"that the input does not support; up to {protocol['rate']:.0%} have some for nothing."
    )
    if not images:
        sentence = "No image was looked through for invention: all lie outside the calibration."
    return Doubt(
        title="Most flags",
        anchor="flagged",
        sentence=sentence,
        calibration=_calibration(protocol),
        condition=protocol["condition"],
        columns=("flagged patches",),
        images=_named(table, some[np.argsort(-flags_N[some], kind="stable")], (flags_N,), 0),
        hidden=max(doubtful - IMAGES_SHOWN, 0),
        unsaid="Images whose flags were not counted",
        without=reasons_without(table, "flags"),
    )


def _calibration(protocol: dict[str, Any], promised: float | None = None) -> str:
    text = f"The calibration is of {number_of(protocol['images'], 'image')}"
    missed = protocol.get("held_out")
    if promised is None or missed is None:
        return f"{text}."
    return f"{text}; of those that it had not seen {missed:.1%} of samples lay outside; {promised:.0%} may."


def _named(
    table: pa.Table, order: NDArray[np.intp], values: Sequence[Floats], decimals: int
) -> list[dict[str, Any]]:
    shown = order[:IMAGES_SHOWN]
    names = table.select(["dataset", "key"]).take(pa.array(shown)).to_pylist()
    return [
        name | {"texts": [f"{each[row]:,.{decimals}f}" for each in values]}
        for name, row in zip(names, shown, strict=True)
    ]
