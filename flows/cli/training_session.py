"""One training from the command line, and what to say of it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from flows.addresses import profile_for
from flows.cli.console import OUT, say

if TYPE_CHECKING:
    from pipeline.training.loop import Told
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
    """Trains, says how it goes and where everything lies. Raises what ``pipeline.training.run`` raises."""
    from pipeline.training import run

    with _asked_to_stop() as stopping:
        finished = run.train(
            run.absolute(recipe),
            out,
            options,
            profile=profile_for(out, profile),
            told=_shown(),
            stopping=stopping,
        )
    say(f"{recipe.name}: {finished.steps:,} steps in {finished.seconds / 60:.1f} min", style="bold")
    for name, score in finished.scores.items():
        say(f"  {name.removeprefix('validation_')}: {score:.4f}")
    if finished.skipped:
        say(f"  {finished.skipped:,} images were left out: {out}/skipped.json", style="yellow")
    say(f"weights  {finished.weights}")
    say(f"table    {out}/table.parquet")
    say(f"report   {out}/report.html")
    if publish is not None:
        say(f"shelf    {run.publish(finished.weights, publish, profile)}")


def line(told: Told) -> str:
    """``step 1,200 (12.0 %), 3.41 steps/s, 54.5 images/s, 0:45:10 left, loss 0.0213``."""
    values = told.values
    facts = [f"step {told.step:,} ({100 * told.share:.1f} %)"]
    facts.append(f"{values.get('steps_per_second', 0):.2f} steps/s")
    facts.append(f"{values.get('images_per_second', 0):.1f} images/s")
    if told.seconds_left is not None:
        facts.append(f"{timedelta(seconds=round(told.seconds_left))} left")
    shown = [n for n in values if n.startswith(("loss", "d_real", "d_fake"))]
    return ", ".join([*facts, *(f"{name} {values[name]:.4g}" for name in sorted(shown))])


def _shown() -> Callable[[Told], None]:
    """Messages always, a line of progress every few seconds."""
    last = float("-inf")

    def show(told: Told) -> None:
        nonlocal last
        if told.message:
            say(f"{time.strftime('%H:%M:%S')} {told.message}")
        elif time.monotonic() - last >= SECONDS_BETWEEN_LINES or told.share >= 1.0:
            last = time.monotonic()
            OUT.print(f"{time.strftime('%H:%M:%S')} {line(told)}", markup=False, soft_wrap=True)

    return show


@contextmanager
def _asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Ctrl-C and SIGTERM ask once: the step ends and a checkpoint is written. A second one kills."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(*_: object) -> None:
        asked.set()
        for number in before:
            signal.signal(number, signal.SIG_DFL)

    try:
        for number in before:
            signal.signal(number, ask)
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
