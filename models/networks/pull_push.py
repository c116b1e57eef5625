"""Pull-push: holes filled from a pyramid of averages, smooth and in a fixed number of operations.

Gortler, Grzeszczuk, Szeliski and Cohen, "The Lumigraph", SIGGRAPH 1996, section 3.4, with boxes of 2 x 2
for the pull and bilinear enlarging for the push.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from models.networks.receptive_field import Window


def pull_push(image_BCHW: Tensor, mask_B1HW: Tensor, levels: int) -> Tensor:
    """The image with its holes filled from what is known around them; known pixels come back as they are.

    The mask is 1 where a pixel is known, 0 in the holes, whose values are not looked at. Halved
    ``levels`` times, so that height and width must be multiples of ``2 ** levels``; a hole in which the
    coarsest pixel knows nothing is 0 there.
    """
    known_BCHW = torch.where(mask_B1HW > 0.5, image_BCHW, 0.0)
    return _filled(known_BCHW, (mask_B1HW > 0.5).to(image_BCHW.dtype), levels)


def before_pull_push(window: Window, levels: int) -> Window:
    """What is needed of the input for a window of the output."""
    needed, coarse = window, window
    for level in range(1, levels + 1):
        coarse = coarse.before_bilinear(2)
        needed |= coarse.before_unshuffle(2**level)
    return needed


def _filled(value_BCHW: Tensor, weight_B1HW: Tensor, levels: int) -> Tensor:
    """Values where the weight is 1, the coarser image where it is 0; between, in that proportion."""
    if levels == 0:
        return value_BCHW * weight_B1HW
    sum_B1hw = F.avg_pool2d(weight_B1HW, 2)
    mean_BChw = F.avg_pool2d(value_BCHW * weight_B1HW, 2) / sum_B1hw.clamp(
        min=torch.finfo(sum_B1hw.dtype).tiny
    )
    # Saturated: a place that is known once over is known (section 3.4).
    coarse_BChw = _filled(mean_BChw, (4 * sum_B1hw).clamp(max=1), levels - 1)
    coarse_BCHW = F.interpolate(coarse_BChw, scale_factor=2, mode="bilinear", align_corners=False)
    return torch.lerp(coarse_BCHW, value_BCHW, weight_B1HW)
