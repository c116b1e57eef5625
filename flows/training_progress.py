"""How far a training is, in one line: the same on a terminal and in Prefect's log.

Imports for types alone, or inside functions, keep torch out of the start-up of the scheduler.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.training.loop import ProgressEvent


def line(event: ProgressEvent) -> str:
    """``step 1,200 (12.0 %), 3.41 steps/s, 54.5 images/s, 0:45:10 left, loss 0.0213``."""
    values = event.values
    facts = [f"step {event.step:,} ({100 * event.share:.1f} %)"]
    facts.append(f"{values.get('steps_per_second', 0):.2f} steps/s")
    facts.append(f"{values.get('images_per_second', 0):.1f} images/s")
    if event.seconds_left is not None:
        facts.append(f"{timedelta(seconds=round(event.seconds_left))} left")
    shown = [n for n in values if n.startswith(("loss", "d_real", "d_fake"))]
    return ", ".join([*facts, *(f"{name} {values[name]:.4g}" for name in sorted(shown))])
