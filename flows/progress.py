"""How far a run is, in one line: the same on a terminal, in a log and in Prefect's UI.

Imports for types alone, or inside functions, keep torch out of the start-up of the scheduler.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.run import Progress

OnProgress = Callable[["Progress"], None]


def at_intervals(show: OnProgress, seconds: float) -> OnProgress:
    """Calls ``show`` for the first, the last, and at most every so many seconds in between."""
    shown_at = float("-inf")

    def update(progress: Progress) -> None:
        nonlocal shown_at
        if progress.units == progress.units_total or time.monotonic() - shown_at >= seconds:
            shown_at = time.monotonic()
            show(progress)

    return update


def line(progress: Progress) -> str:
    """``1,204 of 20,000 images, 57.1 images/s, 0:05:30 left, 3 quarantined (0.2%)``."""
    return f"{progress.images:,} of {progress.images_total:,} images, {facts(progress)}"


def facts(progress: Progress) -> str:
    """What stands behind the count: rate, time left, and what was quarantined."""
    found = []
    if rate := progress.images_per_second:
        found.append(f"{rate:.1f} images/s")
    if (left := progress.seconds_left) and progress.images < progress.images_total:
        found.append(f"{timedelta(seconds=round(left))} left")
    quarantined = f"{progress.quarantined:,} quarantined"
    if progress.quarantined:
        commonest = ", ".join(f"{reason} {count:,}" for reason, count in progress.reasons.most_common(3))
        quarantined += f" ({progress.quarantined_share:.1%}): {commonest}"
    return ", ".join([*found, quarantined])
