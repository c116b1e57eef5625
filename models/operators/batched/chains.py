"""Chains that each sample draws for itself, worked off together."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

from models.operators.base import Operator
from models.operators.batched.batch import Batch
from models.operators.batched.draws import Draws
from models.operators.resample import require_multiple

Degrade = Callable[[Sequence[Operator], Batch, Draws], Batch]


def run_chains(operators: Sequence[Any], batch: Batch, draws: Draws, degrade: Degrade) -> Batch:
    """What most samples wait for comes next; the order within a chain stays, and so do a sample's draws."""
    images, waiting = batch.images(), list[deque[Operator]]()
    for index, (operator, size) in enumerate(zip(operators, batch.sizes, strict=True)):
        require_multiple(operator.name, operator.scale, *size)
        waiting.append(deque(operator.chain(*size, draws.generator(index))))
    while counts := Counter(chain[0].name for chain in waiting if chain):
        name = counts.most_common(1)[0][0]
        chosen = [index for index, chain in enumerate(waiting) if chain and chain[0].name == name]
        some = [waiting[index].popleft() for index in chosen]
        made = degrade(some, Batch.joined([images[index] for index in chosen]), draws.select(chosen))
        clipped = made.with_pixels(made.image_BCHW.clamp(0, 1)).images()
        for index, image_1CHW in zip(chosen, clipped, strict=True):
            images[index] = image_1CHW
    done = Batch.joined(images)
    return done.with_pixels((done.image_BCHW * 255).round() / 255)
