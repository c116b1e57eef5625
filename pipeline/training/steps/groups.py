"""How the microbatches of a step are shared out among the discriminator's steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def groups_of(batches: Sequence[T], steps: int) -> list[Sequence[T]]:
    """Equally many for each step, in order; ``ValueError`` where that cannot be."""
    count, left = divmod(len(batches), steps)
    if left or not count:
        raise ValueError(
            f"{len(batches)} batches cannot be shared out among {steps} steps of the discriminator; "
            "give each as many"
        )
    return [batches[first : first + count] for first in range(0, len(batches), count)]


def shares_of(sizes: Sequence[int]) -> list[float]:
    """Each size as a share of all."""
    total = sum(sizes)
    return [size / total for size in sizes]
