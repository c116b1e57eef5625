"""Calling a network so that an image's bits do not depend on its batch or on the size of its tile.

Convolutions on a CPU have several implementations, which add the same products in other orders, and
PyTorch chooses among them by layout, batch size and number of values. What is done about it here was
measured (AVX2, PyTorch 2.13, one and two threads): in ``channels_last`` and away from two thresholds,
convolutions, transposed, dilated and strided ones too, gave the same bits at all sizes.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.contract import Condition, RestorationModel

_MOST_IMAGES = 8
"""From 16 images on, 1 x 1 convolutions of a single thread change. On a CPU more gain no speed."""
_FEW_VALUES = 1 << 15
"""Below 20,480 values, a lone image is convolved by other code than two; the rest is margin for layers
that have fewer values than the image."""


def call_network(network: RestorationModel, image_BCHW: Tensor, condition: Condition) -> Tensor:
    """``network(image_BCHW, condition)``; on a CPU in parts of a few images, on which no bit depends.

    ``channels_last`` is also the faster layout: 1.0 to 1.5 times on a CPU for FFDNet.
    """
    image_BCHW = image_BCHW.contiguous(memory_format=torch.channels_last)
    if image_BCHW.device.type != "cpu":
        return network(image_BCHW, condition).contiguous()
    batch = len(image_BCHW)
    parts = [range(first, min(first + _MOST_IMAGES, batch)) for first in range(0, batch, _MOST_IMAGES)]
    return torch.cat([_part(network, image_BCHW, condition, part) for part in parts])


def _part(network: RestorationModel, image_BCHW: Tensor, condition: Condition, images: range) -> Tensor:
    index = list(images)
    if len(index) == 1 and image_BCHW[0].numel() < _FEW_VALUES:
        index *= 2
    part_BCHW = image_BCHW[index].contiguous(memory_format=torch.channels_last)
    return network(part_BCHW, condition.select(index))[: len(images)].contiguous()
