"""How far a restorer looks in fact: gradients of one output place on the input around it.

Luo et al., "Understanding the Effective Receptive Field in Deep Convolutional Neural Networks", NeurIPS
2016, section 2.1.

Shapes: C channels, H and W height and width of the input.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.insight.tracing import Traced, gradient_of


def effective_receptive_field(
    restored: Traced, image_1CHW: Tensor, row: int, column: int, scale: int = 1
) -> Tensor:
    """HW: the absolute gradient, summed over channels, of the output pixels at one input pixel's place."""
    leaf_1CHW = image_1CHW.detach().clone().requires_grad_()
    output_BCHW = restored(leaf_1CHW)
    place = output_BCHW[..., scale * row : scale * (row + 1), scale * column : scale * (column + 1)]
    return gradient_of(place.double().sum(), leaf_1CHW)[0].abs().sum(0)


def radius_holding(field_HW: Tensor, row: int, column: int, share: float) -> int:
    """Half-side of the smallest square around the place that holds this share of the field."""
    height, width = field_HW.shape
    rows = (torch.arange(height, device=field_HW.device) - row).abs()[:, None]
    columns = (torch.arange(width, device=field_HW.device) - column).abs()
    distance_N = torch.maximum(rows, columns).flatten()
    within_R = torch.zeros(int(distance_N.max()) + 1, dtype=torch.float64, device=field_HW.device)
    within_R.index_add_(0, distance_N, field_HW.double().flatten())
    sums_R = within_R.cumsum(0)
    return int((sums_R < share * sums_R[-1] * (1 - 1e-12)).sum())
