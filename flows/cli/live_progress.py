"""How the command line shows how far a run is: one live line on a terminal, plain lines in a log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from flows.cli.console import OUT, say
from flows.progress import OnProgress, at_intervals, facts, line
from pipeline.wording import number_of

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.planning.plan import PlanSummary

SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def live_progress(planned: PlanSummary) -> Iterator[OnProgress]:
    """Gives what ``run.execute`` is to call; the display ends with the context."""
    if OUT.is_terminal:
        with bar(planned, OUT) as update:
            yield update
    else:
        images, units = number_of(planned.left, "image"), number_of(planned.units, "unit")
        say(f"{images} to do in {units}; starting workers" if planned.units else "no images to do")
        yield at_intervals(lambda progress: say(line(progress)), SECONDS_BETWEEN_LINES)


@contextmanager
def bar(planned: PlanSummary, console: Console) -> Iterator[OnProgress]:
    """A live line on the console, which ends with the context."""
    columns = (
        SpinnerColumn(),
        BarColumn(bar_width=30),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} images", markup=False),
        TextColumn("{task.fields[facts]}", markup=False),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=console, transient=True) as bars:
        task = bars.add_task("images", total=planned.left, facts="starting workers")
        yield lambda progress: bars.update(task, completed=progress.images, facts=facts(progress))
