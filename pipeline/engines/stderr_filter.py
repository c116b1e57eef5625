"""Lines that native libraries print on the standard error, past Python: one kind of them left out."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LAST_LINES = 1.0
"""Seconds to wait at the end for lines on their way; children that keep the pipe open are not waited for."""


@contextmanager
def without_lines(*fragments: bytes) -> Iterator[None]:
    """Whatever is written to the standard error inside passes, but for lines with a fragment in them."""
    try:
        original = os.dup(2)
    except OSError:  # the process has none
        yield
        return
    reading, writing = os.pipe()
    os.dup2(writing, 2)
    os.close(writing)

    def forward() -> None:
        with os.fdopen(reading, "rb") as lines:
            for line in lines:
                if not any(each in line for each in fragments):
                    os.write(original, line)
        os.close(original)

    thread = threading.Thread(target=forward, name="stderr filter", daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.dup2(original, 2)
        thread.join(_LAST_LINES)
