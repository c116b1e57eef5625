"""From the tables of a benchmark to the scale of intervals in pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import JobError
from pipeline.ledger.run_folder import RunFolder
from pipeline.results.evidence_rows import evidence_rows, image_numbers
from pipeline.results.risk_control import fewest_images, losses, smallest_scale
from pipeline.trust.intervals import SHARES, IntervalBounds, IntervalEvidence
from pipeline.trust.seen_inputs import seen_of, span

ALPHA = 0.1
"""Mean share of samples outside."""
_SPLITS = 20


@dataclass(frozen=True)
class IntervalRows:
    """What a benchmark knows of one restorer's spread; one entry for each image x degradation."""

    image: NDArray[np.int64]
    ratios_NS: NDArray[np.float64]
    """Row by row as ``IntervalEvidence.ratios``."""

    @property
    def images(self) -> NDArray[np.int64]:
        """Different ones."""
        return np.unique(self.image)

    def of(self, images: NDArray[np.int64]) -> IntervalRows:
        """Some of them."""
        chosen = np.isin(self.image, images)
        return IntervalRows(self.image[chosen], self.ratios_NS[chosen])

    def scale(self, alpha: float, delta: float) -> float:
        """As ``smallest_scale``."""
        return smallest_scale(self.ratios_NS, SHARES, self.image, alpha, delta)

    def missed(self, scale: float) -> float:
        """Mean share of samples outside, at most."""
        return float(losses(scale, self.ratios_NS, SHARES, self.image).mean())


def calibrate_intervals(run: RunFolder, restorer: str, delta: float) -> IntervalBounds:
    """Bounds for a restorer with ``uncertainty``, for at least 1 - ``delta`` of calibrations.

    ``JobError`` where too few of its images have a spread.
    """
    found = evidence_rows(run, restorer, "uncertainty_evidence")
    evidence = [IntervalEvidence.from_json(each["uncertainty_evidence"]) for each in found]
    unsure = [place for place, each in enumerate(evidence) if each.spread > 0]
    found, evidence = [found[place] for place in unsure], [evidence[place] for place in unsure]
    rows = interval_rows(found, evidence)
    try:
        scale = rows.scale(ALPHA, delta)
    except ValueError as error:
        raise JobError(f"{run.job.output}: {restorer}: {error}") from None
    return IntervalBounds(
        **seen_of(found, evidence),
        method=evidence[0].method,
        scale=scale,
        alpha=ALPHA,
        delta=round(delta, 9),
        images=len(rows.images),
        spread=span([each.spread for each in evidence]),
        held_out=held_out(rows, delta),
    )


def interval_rows(records: Sequence[Mapping[str, Any]], evidence: Sequence[IntervalEvidence]) -> IntervalRows:
    """Out of records with ``dataset`` and ``key``."""
    ratios_NS = np.array([each.ratios for each in evidence], float).reshape(len(evidence), len(SHARES))
    return IntervalRows(image_numbers(records), ratios_NS)


def held_out(rows: IntervalRows, delta: float) -> float:
    """Mean share outside of the images of one random half, with the scale of the other; -1 where it is too
    few."""
    images, rng = rows.images, np.random.default_rng(0)
    if len(images) // 2 < fewest_images(ALPHA, delta):
        return -1.0
    missed = []
    for _ in range(_SPLITS):
        order = rng.permutation(images)
        half = len(images) // 2
        missed.append(rows.of(order[half:]).missed(rows.of(order[:half]).scale(ALPHA, delta)))
    return float(np.mean(missed))
