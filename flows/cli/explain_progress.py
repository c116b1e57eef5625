"""How the command line shows how far an explanation is: one live line on a terminal, plain lines in a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from flows.cli.console import OUT, say, working

SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def explaining(image: str) -> Iterator[Callable[[int, float | None], None]]:
    """Gives what ``explain_to_page`` is to call after each step; the display ends with the context."""
    started = last = time.monotonic()
    with working(f"explaining {image}: reading it, looking how far the network looks") as status:

        def show(step: int, missed: float | None) -> None:
            nonlocal last
            text = line(step, missed, time.monotonic() - started)
            if OUT.is_terminal:
                status.update(text)
            elif time.monotonic() - last >= SECONDS_BETWEEN_LINES:
                last = time.monotonic()
                say(text)

        yield show


def line(step: int, missed: float | None, seconds: float) -> str:
    """``step 12 of 24, 0:00:09 left``; later how far the shares miss the change, and the most time left."""
    from pipeline.explain import STEPS, WANTED

    total = STEPS[0] if missed is None else STEPS[1]
    left = timedelta(seconds=round(seconds / step * (total - step)))
    if missed is None:
        return f"step {step} of {total}, {left} left; finer where the shares do not add up yet"
    return (
        f"step {step} of {total} at most, {left} left at most; the shares add up within {missed:.1e}, "
        f"wanted are {WANTED:.0e}"
    )
