"""Degradations of a batch on the device of its images, each sample with the parameters and draws of its seed.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from models.contract import Condition
from models.guides.matching import matched
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
    holds noise levels, and masks, frames and guides where all images have them; no operators, which differ.
    """
    parts = [
        (degradation, [index for index, seed in enumerate(seeds) if seed % len(degradations) == number])
        for number, degradation in enumerate(degradations)
    ]
    done = [
        (chosen, _run(degradation, _taken(image_BCHW, chosen), [seeds[index] for index in chosen], draws_of))
        for degradation, chosen in parts
        if chosen
    ]
    order = torch.tensor([index for chosen, _ in done for index in chosen]).argsort().tolist()
    levels = [level for _, part in done for level in part.levels]
    masks = [part.mask_B1HW for _, part in done if part.mask_B1HW is not None]
    stacks = [part.frames_BTCHW for _, part in done if part.frames_BTCHW is not None]
    guides = [part.guide_BPHW for _, part in done if part.guide_BPHW is not None]
    degraded_BCHW, scale = _joined([part.image_BCHW for _, part in done], order), degradations[0].scale
    guide_BPHW = _joined(guides, order) if len(guides) == len(done) else None
    return degraded_BCHW, Condition(
        scale=scale,
        # One for each band, as a restorer hands them to its network.
        guide_BPHW=None if guide_BPHW is None else matched(guide_BPHW, degraded_BCHW, scale),
        noise_level_B=torch.tensor(levels)[order].to(image_BCHW.device) if any(levels) else None,
        mask_B1HW=_joined(masks, order) if len(masks) == len(done) else None,
        frames_BTCHW=_joined(stacks, order) if len(stacks) == len(done) else None,
        place=done[0][1].place,
    )


@dataclass(frozen=True)
class _Part:
    """The images of one degradation, degraded."""

    image_BCHW: Tensor
    levels: list[float]
    mask_B1HW: Tensor | None
    guide_BPHW: Tensor | None
    frames_BTCHW: Tensor | None = None
    place: int = 0


def _run(degradation: Degradation, image_BCHW: Tensor, seeds: Sequence[int], draws_of: MakeDraws) -> _Part:
    chains = [degradation.drawn(seed) for seed in seeds]
    if any(hasattr(operator, "others") for operator in chains[0]):
        return _with_frames(degradation, image_BCHW, seeds)
    batch, mask_B1HW, variances = Batch.of(image_BCHW), None, [0.0] * len(seeds)
    guide_BPHW: Tensor | None = None
    for index in range(len(degradation.operators)):
        # Each operator of each sample begins anew, as it does for an image alone.
        draws = draws_of([seed_of(str(seed), str(index)) for seed in seeds])
        operators = [chain[index] for chain in chains]
        if hasattr(operators[0], "guide"):
            guide_BPHW = _guides(
                operators, batch.image_BCHW, [seed_of(str(seed), str(index)) for seed in seeds]
            )
        if hasattr(operators[0], "mask"):
            mask_B1HW = draw_masks(operators, batch, draws)
            batch = batch.with_pixels(batch.image_BCHW * mask_B1HW)
        else:
            batch = degrade(operators, batch, draws)
        levels = [float(getattr(operator, "noise_level", 0.0)) for operator in operators]
        variances = [sum_ + level**2 for sum_, level in zip(variances, levels, strict=True)]
    return _Part(batch.image_BCHW, [variance**0.5 for variance in variances], mask_B1HW, guide_BPHW)


def _guides(operators: Sequence[Any], image_BCHW: Tensor, seeds: Sequence[int]) -> Tensor:
    made = [
        operator.guide(image_BCHW[i : i + 1], Generator().manual_seed(seeds[i]))
        for i, operator in enumerate(operators)
    ]
    return torch.cat(made)


def _with_frames(degradation: Degradation, image_BCHW: Tensor, seeds: Sequence[int]) -> _Part:
    """One by one, frame by frame, on the device of the images, with the draws that an image alone takes."""
    done = [degradation(each_CHW[None], seed) for each_CHW, seed in zip(image_BCHW, seeds, strict=True)]
    told = [each.condition for each in done]
    masks = [each.mask_B1HW for each in told if each.mask_B1HW is not None]
    guides = [each.guide_BPHW for each in told if each.guide_BPHW is not None]
    return _Part(
        torch.cat([each.image_BCHW for each in done]),
        [0.0 if each.noise_level_B is None else float(each.noise_level_B) for each in told],
        torch.cat(masks) if len(masks) == len(told) else None,
        torch.cat(guides) if len(guides) == len(told) else None,
        torch.cat([each.frames_BTCHW for each in told if each.frames_BTCHW is not None]),
        told[0].place,
    )


def _taken(image_BCHW: Tensor, chosen: Sequence[int]) -> Tensor:
    return image_BCHW if len(chosen) == len(image_BCHW) else image_BCHW[list(chosen)]


def _joined(parts: Sequence[Tensor], order: Sequence[int]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))[list(order)]
