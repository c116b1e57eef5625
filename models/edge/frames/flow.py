"""``models.stacks.flow`` for a graph: the same steps, many pairs at once, for any height and width.

Shapes: N pairs of images, C channels, H and W height and width, h and w those of a level.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from models.edge.frames.registration import registered
from models.edge.frames.spectra import axis_of
from models.stacks.flow import ITERATIONS, LEAST_SIDE, LEVELS, STIFFNESS, WINDOW


def flow_between(image_NCHW: Tensor, other_NCHW: Tensor) -> tuple[Tensor, Tensor]:
    """N2HW: how far each pixel's content lies down and right in the other image; N: whether it was found.

    Levels that are too small are worked out like the others, and left aside: no graph leaves them out.
    """
    shift_N12, usable_N1 = registered(image_NCHW, other_NCHW[:, None])
    usable_N111 = usable_N1[..., None, None]
    height, width = image_NCHW.shape[-2:]
    shift_N2 = shift_N12[:, 0].to(image_NCHW)
    flow_N2HW = torch.where(usable_N111, shift_N2[..., None, None], 0.0).expand(-1, -1, height, width)
    first_N1HW, other_N1HW = image_NCHW.mean(1, keepdim=True), other_NCHW.mean(1, keepdim=True)
    for by in LEVELS:
        first_N1hw, other_N1hw = F.avg_pool2d(first_N1HW, by), F.avg_pool2d(other_N1HW, by)
        flow_N2hw = F.interpolate(flow_N2HW / by, first_N1hw.shape[-2:], mode="bilinear")
        places = Places(first_N1hw)
        for _ in range(ITERATIONS):
            flow_N2hw = flow_N2hw + _step(first_N1hw, sampled(other_N1hw, places.moved(flow_N2hw)))
        finer_N2HW = by * F.interpolate(flow_N2hw, (height, width), mode="bilinear")
        side_1 = torch.minimum(axis_of(height)[1], axis_of(width)[1])
        flow_N2HW = torch.where(torch.floor(side_1 / by) >= LEAST_SIDE, finer_N2HW, flow_N2HW)
    return torch.where(usable_N111, flow_N2HW, 0.0), usable_N1[:, 0]


class Places:
    """Where the pixels of an image lie, and where a flow takes them."""

    def __init__(self, image_NCHW: Tensor) -> None:
        rows, columns = (axis_of(side) for side in image_NCHW.shape[-2:])
        self._y_H, self._height_1 = (each.to(image_NCHW) for each in rows)
        self._x_W, self._width_1 = (each.to(image_NCHW) for each in columns)

    def moved(self, flow_N2HW: Tensor) -> Tensor:
        """NHW2, as ``torch.nn.functional.grid_sample`` takes it: in the units of half a side."""
        return torch.stack(
            [
                (2 * (self._x_W + flow_N2HW[:, 1]) + 1) / self._width_1 - 1,
                (2 * (self._y_H[:, None] + flow_N2HW[:, 0]) + 1) / self._height_1 - 1,
            ],
            dim=3,
        )


def sampled(image_NCHW: Tensor, grid_NHW2: Tensor, kernel: str = "bilinear") -> Tensor:
    """The image at those places; ``kernel`` between pixels, edges repeated."""
    return F.grid_sample(image_NCHW, grid_NHW2, kernel, padding_mode="border", align_corners=False)


def mean_around(values_NCHW: Tensor, side: int) -> Tensor:
    """Over a square as far as it lies within: by rows, then columns, since each number costs its window."""
    of_rows = F.avg_pool2d(values_NCHW, (1, side), 1, (0, side // 2), count_include_pad=False)
    return F.avg_pool2d(of_rows, (side, 1), 1, (side // 2, 0), count_include_pad=False)


def _step(first_N1hw: Tensor, moved_N1hw: Tensor) -> Tensor:
    """N2hw: how much farther each window has to go, one pixel at most."""
    middle_N1hw = (first_N1hw + moved_N1hw) / 2
    slope_y, slope_x = _slope_down(middle_N1hw), _slope_down(middle_N1hw.mT).mT
    missed = first_N1hw - moved_N1hw
    yy, xx, xy, ty, tx = mean_around(
        torch.cat([slope_y**2, slope_x**2, slope_x * slope_y, slope_y * missed, slope_x * missed], 1), WINDOW
    ).unbind(1)
    yy, xx = yy + STIFFNESS, xx + STIFFNESS
    determinant = yy * xx - xy**2
    step_N2hw = torch.stack([xx * ty - xy * tx, yy * tx - xy * ty], 1) / determinant[:, None]
    return step_N2hw.clamp(-1, 1)


def _slope_down(image_N1hw: Tensor) -> Tensor:
    """``torch.gradient`` over the rows."""
    first, last = (
        image_N1hw[:, :, 1:2] - image_N1hw[:, :, :1],
        image_N1hw[:, :, -1:] - image_N1hw[:, :, -2:-1],
    )
    return torch.cat([first, (image_N1hw[:, :, 2:] - image_N1hw[:, :, :-2]) / 2, last], 2)
