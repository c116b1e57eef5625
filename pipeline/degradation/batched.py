"""Degradations of a batch on the device of its images, each sample with the parameters and draws of its seed.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from models.contract import Condition
from models.operators.base import Operator
from models.operators.batched import Batch, CounterDraws, Draws, HostDraws, degrade
from models.operators.batched.hiding import draw_masks
from pipeline.degradation.degradation import Degradation
from pipeline.hashing import seed_of

MakeDraws = Callable[[Sequence[int]], Draws]
"""The draws of samples with these seeds."""


def host_draws(seeds: Sequence[int]) -> Draws:
    """Those that each image alone takes."""
    return HostDraws([Generator().manual_seed(seed) for seed in seeds])


def counter_draws(device: torch.device) -> MakeDraws:
    """On the device."""
    return lambda seeds: CounterDraws(seeds, device)


def degrade_batch(
    degradations: Sequence[Degradation], image_BCHW: Tensor, seeds: Sequence[int], draws_of: MakeDraws
) -> tuple[Tensor, Condition]:
    """Every image by the one of the degradations that its seed chooses, all of one scale.

    With ``host_draws`` it is, up to rounding, what ``degradation(image, seed)`` makes of each. The condition
    holds noise levels, and masks where every image has one; no operators, for they differ.
    """
    made: dict[int, _Sample] = {}
    for number, degradation in enumerate(degradations):
        chosen = [index for index, seed in enumerate(seeds) if seed % len(degradations) == number]
        samples = [_Sample(image_BCHW[index : index + 1]) for index in chosen]
        _run(degradation, samples, [seeds[index] for index in chosen], draws_of)
        made |= zip(chosen, samples, strict=True)
    ordered = [made[index] for index in range(len(seeds))]
    levels = [math.sqrt(each.noise_variance) for each in ordered]
    masks = [each.mask_11HW for each in ordered if each.mask_11HW is not None]
    condition = Condition(
        scale=degradations[0].scale,
        noise_level_B=torch.tensor(levels).to(image_BCHW.device) if any(levels) else None,
        mask_B1HW=torch.cat(masks) if len(masks) == len(ordered) else None,
    )
    return torch.cat([each.image_1CHW for each in ordered]), condition


class _Sample:
    """An image on its way through a degradation."""

    def __init__(self, image_1CHW: Tensor) -> None:
        self.image_1CHW = image_1CHW
        self.noise_variance = 0.0
        self.mask_11HW: Tensor | None = None


def _run(
    degradation: Degradation, samples: Sequence[_Sample], seeds: Sequence[int], draws_of: MakeDraws
) -> None:
    chains = [degradation.drawn(seed) for seed in seeds]
    for index in range(len(degradation.operators)):
        # Each operator of each sample begins anew, as it does for an image alone.
        fresh = [seed_of(str(seed), str(index)) for seed in seeds]
        operators = [chain[index] for chain in chains]
        images = [each.image_1CHW for each in samples]
        if operators and hasattr(operators[0], "mask"):
            _hide(operators, samples, draws_of(fresh))
        else:
            for sample, made in zip(samples, degrade(operators, images, draws_of(fresh)), strict=True):
                sample.image_1CHW = made
        for sample, operator in zip(samples, operators, strict=True):
            sample.noise_variance += float(getattr(operator, "noise_level", 0.0)) ** 2


def _hide(operators: Sequence[Operator], samples: Sequence[_Sample], draws: Draws) -> None:
    known: Sequence[Any] = draw_masks(operators, Batch.joined([each.image_1CHW for each in samples]), draws)
    for sample, mask_1HW in zip(samples, known, strict=True):
        sample.mask_11HW = mask_1HW[None]
        sample.image_1CHW = sample.image_1CHW * sample.mask_11HW
