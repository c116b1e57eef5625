"""The finer image that explains all frames, when nothing is known of what blurred them.

Farsiu et al., "Fast and Robust Multiframe Super Resolution", IEEE TIP 2004, section IV, as the solver
``multi_frame_map``, with a Gaussian for optics and pixel together, which is cheap and needs no operators.

Shapes: B images, T frames of each, C channels, H and W height and width, P and Q those of the finer grid.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.stacks.sampling import Sampling

HUBER = 0.06
"""Difference from which on it counts by its size and no longer by its square: clouds, not noise."""
SOFT = 0.01
"""Difference of neighbours below which total variation is smooth."""


def explained(
    start_BCPQ: Tensor,
    stack_BTCHW: Tensor,
    known_BT: Tensor,
    sampling: Sampling,
    weight_B: Tensor,
    iterations: int,
    scale: int,
) -> Tensor:
    """BCPQ, from a start by gradient steps with momentum; ``sampling`` is normalised.

    ``known_BT`` is 0 for frames that do not count; ``weight_B`` is that of the total variation;
    ``scale`` is how many times finer the image is than its frames.
    """
    known_BT111 = (known_BT / known_BT.sum(1, keepdim=True)).to(stack_BTCHW)[..., None, None, None]
    image_BCPQ = before_BCPQ = start_BCPQ
    for step in range(iterations):
        ahead_BCPQ = image_BCPQ + step / (step + 3) * (image_BCPQ - before_BCPQ)
        missed_BTCHW = (sampling.seen(ahead_BCPQ) - stack_BTCHW).clamp(-HUBER, HUBER)
        prior_BCPQ = weight_B.view(-1, 1, 1, 1) * total_variation_slope(ahead_BCPQ)
        # A reduction by s takes s^2 pixels into one: so much smaller is its adjoint's answer.
        slope_BCPQ = scale**2 * (sampling.spread(known_BT111 * missed_BTCHW) + prior_BCPQ)
        before_BCPQ, image_BCPQ = image_BCPQ, ahead_BCPQ - 0.9 * slope_BCPQ
    return image_BCPQ


def total_variation_slope(image_BCHW: Tensor) -> Tensor:
    """How fast the smoothed total variation grows with each pixel."""
    slope = torch.zeros_like(image_BCHW)
    for axis in (-2, -1):
        step = image_BCHW.diff(dim=axis)
        pull = step / (step**2 + SOFT**2).sqrt()
        nothing = torch.zeros_like(image_BCHW.narrow(axis, 0, 1))
        slope = slope + torch.cat([nothing, pull], axis) - torch.cat([pull, nothing], axis)
    return slope
