"""The convolutions of AlexNet as torchvision has them, with weights that the user has.

Krizhevsky, "One weird trick for parallelizing convolutional neural networks", arXiv:1404.5997, 2014.

Shapes: B batch, H and W height and width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from models.backbones.state import load_convolutions

_NUMBERS = (0, 3, 6, 8, 10)
"""Places of the convolutions in torchvision's list."""
_POOLED = (1, 2)
"""Convolutions with a pooling of 3 x 3 in front."""


class AlexNet(nn.Module):
    """What each of the five rectifiers gives: 4, 8 and 16 times smaller, about.

    ``state`` is in torchvision's layout; the classifier may be missing. ``ValueError`` for weights of another
    network.
    """

    widths: ClassVar[tuple[int, ...]] = (64, 192, 384, 256, 256)
    minimum_size: ClassVar[int] = 31

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            (
                nn.Conv2d(3, 64, 11, stride=4, padding=2),
                nn.Conv2d(64, 192, 5, padding=2),
                nn.Conv2d(192, 384, 3, padding=1),
                nn.Conv2d(384, 256, 3, padding=1),
                nn.Conv2d(256, 256, 3, padding=1),
            )
        )
        load_convolutions(self.convolutions, _NUMBERS, state, "AlexNet")
        self.eval().requires_grad_(False)

    def forward(self, image_B3HW: Tensor) -> list[Tensor]:
        """Features by convolution, of images that were normalised as the weights want it."""
        features, found = image_B3HW, list[Tensor]()
        for place, convolution in enumerate(self.convolutions):
            if place in _POOLED:
                features = F.max_pool2d(features, 3, stride=2)
            features = F.relu(convolution(features))
            found.append(features)
        return found
