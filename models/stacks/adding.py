"""Robust shift-and-add: the samples of all frames put where they belong on a finer grid.

Farsiu et al., "Fast and Robust Multiframe Super Resolution", IEEE TIP 2004, section III, with means that
leave outliers out in place of the median (Tukey's weights), on samples spread over their neighbours.

Shapes: B images, T frames of each, C channels, H and W height and width, P and Q those of the finer grid.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from models.operators.resample import imresize
from models.stacks.sampling import Sampling

ROUNDS = 2
"""Of leaving out what does not fit."""
TUKEY = 4.685
"""Widths of the noise at which a sample no longer counts."""
PRIOR = 0.05
"""Weight of the enlarged image itself: where no sample fell, it is all there is."""

NoiseOf = Callable[[Tensor, Tensor], Tensor]
"""What each frame misses (BTCHW) and whether it counts (BT) -> the width of it for each image (B)."""


def added(stack_BTCHW: Tensor, known_BT: Tensor, sampling: Sampling, scale: int) -> tuple[Tensor, Tensor]:
    """BCPQ, and of each image the noise of its samples (B).

    The first frame of the stack lies where the result does; ``known_BT`` is 0 for frames that do not count.
    """
    height, width = stack_BTCHW.shape[-2:]
    plain_BCPQ = imresize(stack_BTCHW[:, 0], scale * height, scale * width).to(stack_BTCHW)
    return added_to(plain_BCPQ, stack_BTCHW, known_BT, sampling, noise_by_median)


def added_to(
    plain_BCPQ: Tensor, stack_BTCHW: Tensor, known_BT: Tensor, sampling: Sampling, noise_of: NoiseOf
) -> tuple[Tensor, Tensor]:
    """``added``, from the first frame enlarged; ``noise_of`` says how wide what frames miss is spread."""
    fitted, estimate_BCPQ, noise_B = (
        sampling.normalised(),
        plain_BCPQ,
        plain_BCPQ.new_zeros(plain_BCPQ.shape[0]),
    )
    known_BT111 = known_BT.to(stack_BTCHW)[..., None, None, None]
    for each in range(ROUNDS + 1):
        kept_BTCHW = known_BT111.expand_as(stack_BTCHW)
        if each:
            missed_BTCHW = stack_BTCHW - fitted.seen(estimate_BCPQ)
            if each == 1:
                noise_B = noise_of(missed_BTCHW, known_BT)
            widths = (TUKEY * noise_B.clamp_min(1e-4)).view(-1, 1, 1, 1, 1)
            kept_BTCHW = kept_BTCHW * (1 - (missed_BTCHW / widths) ** 2).clamp_min(0) ** 2
        total_BCPQ = PRIOR * plain_BCPQ + sampling.spread(kept_BTCHW * stack_BTCHW)
        estimate_BCPQ = total_BCPQ / (PRIOR + sampling.spread(kept_BTCHW))
    return estimate_BCPQ, noise_B


def noise_by_median(missed_BTCHW: Tensor, known_BT: Tensor) -> Tensor:
    """Of each image the width of what its frames miss, by the median."""
    each = zip(missed_BTCHW, known_BT, strict=True)
    return torch.stack([1.4826 * missed_TCHW[known_T > 0].abs().median() for missed_TCHW, known_T in each])
