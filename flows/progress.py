"""How a run shows how far it is: one live line on a terminal, plain lines in a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from flows.cli.console import OUT, say

if TYPE_CHECKING:
    from pipeline.planning.plan import PlanSummary
    from pipeline.run import Progress

SECONDS_BETWEEN_LINES = 5.0

OnProgress = Callable[["Progress"], None]


@contextmanager
def shown(planned: PlanSummary) -> Iterator[OnProgress]:
    """Gives what ``run.execute`` is to call; the display ends with the context."""
    if OUT.is_terminal:
        with _live(planned) as update:
            yield update
    else:
        say(f"{planned.left:,} images to do in {planned.units:,} units; starting workers")
        yield at_intervals(lambda progress: say(line(progress)), SECONDS_BETWEEN_LINES)


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
    """``1,204 of 20,000 images, 57.1 images/s, 0:05:30 left, 3 quarantined (0.2 %): EMPTY 3``."""
    return f"{progress.images:,} of {progress.images_total:,} images, {_facts(progress)}"


def _facts(progress: Progress) -> str:
    facts = []
    if rate := progress.images_per_second:
        facts.append(f"{rate:.1f} images/s")
    if (left := progress.seconds_left) and progress.images < progress.images_total:
        facts.append(f"{timedelta(seconds=round(left))} left")
    quarantined = f"{progress.quarantined:,} quarantined"
    if progress.quarantined:
        commonest = ", ".join(f"{reason} {count:,}" for reason, count in progress.reasons.most_common(3))
        quarantined += f" ({progress.quarantined_share:.1%}): {commonest}"
    return ", ".join([*facts, quarantined])


@contextmanager
def _live(planned: PlanSummary) -> Iterator[OnProgress]:
    columns = (
        SpinnerColumn(),
        BarColumn(bar_width=30),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} images", markup=False),
        TextColumn("{task.fields[facts]}", markup=False),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=OUT, transient=True) as bars:
        task = bars.add_task("images", total=planned.left, facts="starting workers")
        yield lambda progress: bars.update(task, completed=progress.images, facts=_facts(progress))
