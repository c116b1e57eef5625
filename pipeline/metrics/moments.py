"""First and second moments of two images under a sliding window, from four filtered planes.

With s = x + y and d = x - y, E[s], E[d], E[s^2] and E[d^2] hold all that E[x], E[y], E[x^2], E[y^2] and
E[xy] do, in one filter less, and identical images give exact zeros. A mean that both images share is
taken off first: E[s^2] - E[s]^2 of bright 16-bit data would lose every digit in float32.

Shapes: B batch, C channels, P = B C planes, H and W height and width, h and w window positions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.metrics import valid
from pipeline.metrics.window import SlidingWindow


@dataclass
class LocalMoments:
    """Moments of the sum s and the difference d of two images at every window position, each hPw."""

    sum_mean: Tensor
    difference_mean: Tensor
    sum_variance: Tensor
    difference_variance: Tensor


def local_moments(x_BCHW: Tensor, y_BCHW: Tensor, mean_BC: Tensor, window: SlidingWindow) -> LocalMoments:
    """Population moments of images at least as large as the window; ``mean_BC`` is about y's mean."""
    x_HPW, y_HPW = (image.flatten(0, 1).transpose(0, 1) for image in (x_BCHW, y_BCHW))
    mean_P1 = mean_BC.to(y_BCHW.dtype).reshape(-1, 1)
    height, planes, width = y_HPW.shape
    s, d, squares = 0, 1, slice(2, 4)
    planes_H4PW = y_HPW.new_empty(height, 4, planes, width)
    torch.sub(x_HPW, y_HPW, out=planes_H4PW[:, d])
    torch.sub(y_HPW, mean_P1, out=planes_H4PW[:, s])
    torch.add(planes_H4PW[:, d], planes_H4PW[:, s], alpha=2, out=planes_H4PW[:, s])
    torch.mul(planes_H4PW[:, :2], planes_H4PW[:, :2], out=planes_H4PW[:, squares])
    means_hKw = window.means_(planes_H4PW.view(height, 4 * planes, width))
    means_h4Pw = means_hKw.view(-1, 4, planes, means_hKw.shape[2])
    means_h4Pw[:, squares].addcmul_(means_h4Pw[:, :2], means_h4Pw[:, :2], value=-1)
    means_h4Pw[:, s].add_(2 * mean_P1)
    return LocalMoments(*means_h4Pw.unbind(1))


def shared_mean(reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
    """(B, C) roughly the mean of the reference over valid pixels, 0 where there are none.

    Any value near the mean cancels out and does its work, so every eighth row is enough.
    """
    rows_BChW = reference_BCHW[:, :, ::8]
    valid_B1hW = None if valid_B1HW is None else valid_B1HW[:, :, ::8]
    return valid.channel_mean(rows_BChW, valid_B1hW).nan_to_num(0.0).to(reference_BCHW.dtype)
