"""``models.operators.resample.imresize`` for a graph: bicubic, by a whole number, any height and width.

Shapes: B batch, C channels, H and W height and width, P and Q those of the enlarged image.
"""

from __future__ import annotations

import torch
from torch import Tensor


def enlarged(image_BCHW: Tensor, scale: int) -> Tensor:
    """BCPQ: ``scale`` times the height and width, mirrored at the border, the edge pixel repeated."""
    height, width = image_BCHW.shape[-2:]
    rows_PH, columns_QW = _weights(height, scale).to(image_BCHW), _weights(width, scale).to(image_BCHW)
    return rows_PH @ image_BCHW @ columns_QW.mT


def _weights(count: int, scale: int) -> Tensor:
    """Of every pixel of an axis in every one of the enlarged axis, float64."""
    places_H = torch.arange(count, dtype=torch.float64)
    last_1 = places_H[-1:]
    centres_P1 = ((torch.arange(scale * count, dtype=torch.float64) + 0.5) / scale - 0.5)[:, None]
    # The mirror image of pixel c before the first one is -1 - c, beyond the last one 2 last + 1 - c.
    images = (places_H, -1 - places_H, 2 * last_1 + 1 - places_H)
    return torch.stack([_cubic((centres_P1 - each_H).abs()) for each_H in images]).sum(0)


def _cubic(distance: Tensor) -> Tensor:
    """Keys 1981 with a = -0.5."""
    near = (1.5 * distance - 2.5) * distance * distance + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return torch.where(distance <= 1, near, torch.where(distance <= 2, far, 0.0))
