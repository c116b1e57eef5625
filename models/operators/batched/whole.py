"""Operators without a form of their own for batches: one call for all that are equal, or one an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Generator

from models.operators.batched.batch import Batch
from models.operators.batched.draws import Draws


def one_by_one(operators: Sequence[Any], batch: Batch, draws: Draws) -> Batch:
    """Each image by its own operator with its own generator."""
    return Batch.joined(
        [
            operator(image_1CHW, draws.generator(index))
            for index, (operator, image_1CHW) in enumerate(zip(operators, batch.images(), strict=True))
        ]
    )


def is_slower_together(batch: Batch) -> bool:
    """On a CPU a canvas of the largest image costs more than a call each; a device wants few large ones."""
    return batch.image_BCHW.device.type == "cpu" and not batch.is_uniform


def on_host(operators: Sequence[Any], batch: Batch, draws: Draws) -> Batch:
    """One by one on the CPU, for codecs that run nowhere else: the batch crosses the bus once either way."""
    there = Batch(batch.image_BCHW.cpu(), batch.sizes)
    made = one_by_one(operators, there, draws)
    return Batch(made.image_BCHW.to(batch.image_BCHW.device), made.sizes)


def all_at_once(operators: Sequence[Any], batch: Batch, draws: Draws) -> Batch:
    """Equal operators that draw nothing, on images of one size."""
    assert batch.is_uniform, batch.sizes
    return Batch.of(operators[0](batch.image_BCHW, Generator()))
