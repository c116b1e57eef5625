"""From the tables of a benchmark to the scores from which on a patch is flagged."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pipeline.errors import JobError
from pipeline.ledger.run_folder import RunFolder
from pipeline.results.evidence_rows import evidence_rows, image_names
from pipeline.trust.flags import RATE, FlagBounds, FlagEvidence
from pipeline.trust.seen_inputs import seen_of
from pipeline.wording import number_of


def calibrate_flags(run: RunFolder, restorer: str, rate: float = RATE) -> FlagBounds:
    """Bounds that at most ``rate`` of images like the benchmark's exceed anywhere: half of it by each score.

    ``JobError`` where there are fewer images than the rate needs.
    """
    found = evidence_rows(run, restorer, "flags_evidence")
    evidence = [FlagEvidence.from_json(each["flags_evidence"]) for each in found]
    names = image_names(found)
    images = len(set(names))
    if images < (needed := fewest(rate)):
        raise JobError(
            f"{run.job.output}: {restorer}: {number_of(images, 'image')} cannot warrant that {rate:g} of "
            f"images are flagged for nothing; benchmark {needed} or more, or leave flags out"
        )
    return FlagBounds(
        **seen_of(found, evidence),
        residual=upper_bound(names, [each.residual for each in evidence], rate / 2),
        detail=upper_bound(names, [each.detail for each in evidence], rate / 2),
        rate=rate,
        images=images,
    )


def fewest(rate: float) -> int:
    """How many images are needed: 39 for 0.05."""
    return math.ceil(round(2 / rate - 1, 9))


def upper_bound(names: Sequence[str], scores: Sequence[float], rate: float) -> float:
    """What at most ``rate`` of new images exceed: split conformal prediction, an image's largest score
    counting."""
    image_N = np.unique(names, return_inverse=True)[1]
    largest = np.full(int(image_N.max()) + 1, -np.inf)
    np.maximum.at(largest, image_N, np.asarray(scores, np.float64))
    count = len(largest)
    place = math.ceil(round((1 - rate) * (count + 1), 9))
    assert place <= count, "fewer images than the rate needs"
    return float(np.sort(largest)[place - 1])
