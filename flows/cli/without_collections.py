"""Python's search for cycles, put off while what is made is to stay: modules, a job, networks."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collections() -> Iterator[None]:
    """For start-up: importing PyTorch alone sets off hundreds of searches, which find nothing and took a
    tenth of the time. What is there at the end is passed over by later ones.

    Not for work on images: what a fault holds in a cycle may be large.
    """
    if not gc.isenabled():  # by whoever uses us, or by an outer one
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
