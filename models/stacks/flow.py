"""Where each pixel of a frame is in another one: dense optical flow without training.

Lucas and Kanade, "An iterative image registration technique", IJCAI 1981, at every pixel and from coarse to
fine (Bouguet, "Pyramidal implementation of the Lucas Kanade feature tracker", 2000), starting where phase
correlation found the frame as a whole.

Shapes: B images, C channels, H and W height and width, h and w those of a level.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from models.stacks.registration import register

LEVELS = (4, 2)
"""How many times smaller the images are on which flow is looked for."""
ITERATIONS = 3
WINDOW = 9
"""Side of the square whose pixels move alike, in pixels of a level."""
STIFFNESS = 3e-4
"""Added to the squared slopes of a window: where there is less contrast than noise, nothing moves."""
LEAST_SIDE = 16
"""Of the finest level: on smaller images the whole moves as one."""


@torch.no_grad()
def flow_between(image_BCHW: Tensor, other_BCHW: Tensor) -> tuple[Tensor, Tensor]:
    """B2HW: how far each pixel's content lies down and right in the other image; B: whether it was found.

    Where the other image shows something else, nothing moves.
    """
    found = register(image_BCHW, other_BCHW[:, None])
    usable_B = found.usable[:, 0]
    shift_B2 = torch.where(usable_B[:, None], found.shift_BT2[:, 0], 0).to(image_BCHW)
    height, width = image_BCHW.shape[-2:]
    flow_B2HW = shift_B2[..., None, None].expand(-1, -1, height, width)
    first_B1HW, other_B1HW = image_BCHW.mean(1, keepdim=True), other_BCHW.mean(1, keepdim=True)
    for by in LEVELS:
        if min(height, width) // by < LEAST_SIDE:
            continue
        first_B1hw, other_B1hw = F.avg_pool2d(first_B1HW, by), F.avg_pool2d(other_B1HW, by)
        flow_B2hw = F.interpolate(flow_B2HW / by, first_B1hw.shape[-2:], mode="bilinear")
        for _ in range(ITERATIONS):
            flow_B2hw = flow_B2hw + _step(first_B1hw, warped(other_B1hw, flow_B2hw))
        flow_B2HW = by * F.interpolate(flow_B2hw, (height, width), mode="bilinear")
    return torch.where(usable_B[:, None, None, None], flow_B2HW, 0), usable_B


def warped(image_BCHW: Tensor, flow_B2HW: Tensor, kernel: str = "bilinear") -> Tensor:
    """Each pixel taken from where the flow says it lies; ``kernel`` between pixels, edges repeated."""
    height, width = image_BCHW.shape[-2:]
    y_H = torch.arange(height).to(image_BCHW)[:, None]
    x_W = torch.arange(width).to(image_BCHW)
    grid_BHW2 = torch.stack(
        [
            (2 * (x_W + flow_B2HW[:, 1]) + 1) / width - 1,
            (2 * (y_H + flow_B2HW[:, 0]) + 1) / height - 1,
        ],
        dim=3,
    )
    return F.grid_sample(image_BCHW, grid_BHW2, kernel, padding_mode="border", align_corners=False)


def _step(first_B1hw: Tensor, moved_B1hw: Tensor) -> Tensor:
    """B2hw: how much farther each window has to go, one pixel at most: two equations a window."""
    slope_y, slope_x = (_slope((first_B1hw + moved_B1hw) / 2, axis) for axis in (-2, -1))
    missed = first_B1hw - moved_B1hw
    yy, xx, xy, ty, tx = F.avg_pool2d(
        torch.cat([slope_y**2, slope_x**2, slope_x * slope_y, slope_y * missed, slope_x * missed], 1),
        WINDOW,
        stride=1,
        padding=WINDOW // 2,
        count_include_pad=False,
    ).unbind(1)
    yy, xx = yy + STIFFNESS, xx + STIFFNESS
    determinant = yy * xx - xy**2
    step_B2hw = torch.stack([xx * ty - xy * tx, yy * tx - xy * ty], 1) / determinant[:, None]
    return step_B2hw.clamp(-1, 1)


def _slope(image_B1hw: Tensor, axis: int) -> Tensor:
    return torch.gradient(image_B1hw, dim=axis)[0]
