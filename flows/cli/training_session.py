"""One training from the command line, and what to say of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from flows.addresses import profile_for
from flows.cli.console import OUT, say
from flows.cli.signals import asked_to_stop
from flows.training_progress import line
from pipeline.wording import number_of

if TYPE_CHECKING:
    from pipeline.training.loop import ProgressEvent
    from pipeline.training.options import TrainingOptions
    from pipeline.training.recipe.recipe import TrainingRecipe

SECONDS_BETWEEN_LINES = 10.0


def run_training(
    recipe: TrainingRecipe,
    out: str,
    options: TrainingOptions,
    *,
    profile: str | None = None,
    publish: str | None = None,
) -> None:
    """Trains, says how it goes and where the results are. Raises what ``pipeline.training.run`` raises."""
    from pipeline.training import run

    # The step that runs ends, and a checkpoint is written.
    with asked_to_stop() as stopping:
        finished = run.train(
            run.absolute(recipe),
            out,
            options,
            profile=profile_for(out, profile),
            on_progress=show_progress(),
            stopping=stopping,
        )
    say(f"{recipe.name}: {finished.steps:,} steps in {finished.seconds / 60:.1f} min", style="bold")
    for name, score in finished.scores.items():
        say(f"  {name.removeprefix('validation_')}: {score:.4f}")
    if finished.skipped:
        say(f"  left out: {number_of(finished.skipped, 'image')}, see {out}/skipped.json", style="yellow")
    say(f"weights  {finished.weights}")
    say(f"table    {out}/table.parquet")
    say(f"report   {out}/report.html")
    if publish is not None:
        say(f"registry {run.publish(finished.weights, publish, profile)}")


def with_threads(threads: int | None) -> None:
    """Gives torch's mathematics so many threads; all cores where nothing is said."""
    from pipeline.training.engines.local import use_threads

    use_threads(threads)


def show_progress() -> Callable[[ProgressEvent], None]:
    """Messages always, a line of progress every few seconds."""
    last = float("-inf")

    def show(event: ProgressEvent) -> None:
        nonlocal last
        if event.message:
            say(f"{time.strftime('%H:%M:%S')} {event.message}")
        elif time.monotonic() - last >= SECONDS_BETWEEN_LINES or event.share >= 1.0:
            last = time.monotonic()
            OUT.print(f"{time.strftime('%H:%M:%S')} {line(event)}", markup=False, soft_wrap=True)

    return show
