"""Where a restore run is unsure and what it may have invented: which images, how many, with what condition.

Every number stands beside its condition: calibration and archive must be exchangeable.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.report.doubt_picture import DoubtPicture, Named
from pipeline.results.statistics import scores_of
from pipeline.wording import number_of

IMAGES_SHOWN = 10
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Doubt:
    """One kind of it; texts are ready to print."""

    title: str
    anchor: str
    sentence: str
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
            counts = np.isfinite(value_N) & ((value_N != 0) | (name != "flags"))
            known = np.flatnonzero(counts)
            orders.append(known[np.argsort(value_N[known], kind="stable")])
    turns = [int(order[turn]) for turn in range(count) for order in orders if turn < len(order)]
    names = table.select(["dataset", "key"]).take(pa.array(turns, pa.int64())).to_pylist()
    return list(dict.fromkeys((each["dataset"], each["key"]) for each in names))[:count]


def _intervals(table: pa.Table, header: dict[str, Any]) -> Doubt | None:
    protocol = header.get("uncertainty", {})
    if "condition" not in protocol or "uncertainty_mean" not in table.column_names:
        return None
    mean_N, high_N = 255 * scores_of(table, "uncertainty_mean"), 255 * scores_of(table, "uncertainty_p95")
    known = np.flatnonzero(np.isfinite(mean_N))
    sentence = "No image has intervals about its pixels: all lie outside the calibration."
    if len(known):
        images, middle = number_of(len(known), "image"), f"{np.median(mean_N[known]):.1f}"
        sentence = f"Intervals about the pixels of {images} are ±{middle} of 255 wide at the median image."
    return Doubt(
        title="Widest intervals",
        anchor="widest",
        sentence=sentence,
        condition=protocol["condition"],
        columns=("mean half-width, of 255", "95 % of samples below"),
        images=_named(table, known[np.argsort(-mean_N[known], kind="stable")], (mean_N, high_N), 1),
        hidden=max(len(known) - IMAGES_SHOWN, 0),
        unsaid="Images without intervals",
        without=_without(table, "uncertainty_mean", "uncertainty_reason"),
    )


def _flags(table: pa.Table, header: dict[str, Any]) -> Doubt | None:
    protocol = header.get("flags", {})
    if "condition" not in protocol or "flags" not in table.column_names:
        return None
    flags_N = scores_of(table, "flags")
    known = np.flatnonzero(np.isfinite(flags_N))
    some = known[flags_N[known] > 0]
    sentence = (
        f"{len(some):,} of {number_of(len(known), 'image')} {'has' if len(some) == 1 else 'have'} patches "
        f"that the input does not support; {protocol['rate']:.0%} would have some for nothing."
    )
    if not len(known):
        sentence = "No image was looked through for invention: all lie outside the calibration."
    return Doubt(
        title="Most flags",
        anchor="flagged",
        sentence=sentence,
        condition=protocol["condition"],
        columns=("flagged patches",),
        images=_named(table, some[np.argsort(-flags_N[some], kind="stable")], (flags_N,), 0),
        hidden=max(len(some) - IMAGES_SHOWN, 0),
        unsaid="Images whose flags were not counted",
        without=_without(table, "flags", "flags_reason"),
    )


def _named(
    table: pa.Table, order: NDArray[np.intp], values: Sequence[Floats], decimals: int
) -> list[dict[str, Any]]:
    shown = order[:IMAGES_SHOWN]
    names = table.select(["dataset", "key"]).take(pa.array(shown)).to_pylist()
    return [
        name | {"texts": [f"{each[row]:,.{decimals}f}" for each in values]}
        for name, row in zip(names, shown, strict=True)
    ]


def _without(table: pa.Table, column: str, reason: str) -> list[tuple[str, int, str]]:
    rows = zip(*(table[name].to_pylist() for name in ("status", column, reason)), strict=True)
    said = [
        text or "STRIPS: restored in strips"
        for status, value, text in rows
        if status == "ok" and value is None
    ]
    counts = Counter(text.partition(":")[0] for text in said)
    example = {text.partition(":")[0]: text.partition(":")[2].strip() for text in reversed(said)}
    return [(code, number, example[code]) for code, number in counts.most_common()]
