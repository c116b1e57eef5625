"""MSRResNet: SRResNet without batch normalisation, and a bilinear image to add details to.

The network of SRResNet (Ledig et al., CVPR 2017) as modified by Wang et al., "ESRGAN", ECCV workshops
2018, section 3.1, and trained in BasicSR: 3 x 3 convolutions throughout, no batch normalisation,
leaky ReLU of 0.1 after the enlarging layers, residual to bilinear interpolation.

Shapes: B batch, C channels, H and W height and width, s the scale.
"""

from __future__ import annotations

from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from models.networks.arguments import require_at_least, require_one_of
from models.networks.initialisation import initialise_residual
from models.networks.receptive_field import Window, halo_of
from models.networks.upsampling import SCALES, SubPixelUpsampling


class ResidualBlock(nn.Module):
    """Convolution, ReLU, convolution, times ``weight``, beside the identity; EDSR's block too."""

    def __init__(self, features: int, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight
        self.first = nn.Conv2d(features, features, 3, padding=1)
        self.second = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """The same shape."""
        added_BCHW: Tensor = self.second(F.relu(self.first(features_BCHW)))
        return features_BCHW + self.weight * added_BCHW


class MSRResNet(nn.Module):
    """BCHW in [0, 1] -> BC(sH)(sW), not clipped; 1,517,571 parameters at scale 4.

    ``scale`` is 2, 3, 4 or 8. The blocks start a tenth as large as He's rule says.
    """

    multiple_of = 1
    minimum_size = 1

    def __init__(self, channels: int = 3, features: int = 64, blocks: int = 16, scale: int = 4) -> None:
        super().__init__()
        require_at_least("MSRResNet", 1, channels=channels, features=features, blocks=blocks)
        require_one_of("MSRResNet", SCALES, scale=scale)
        self.channels, self.blocks, self.scale = channels, blocks, scale
        self.head = nn.Conv2d(channels, features, 3, padding=1)
        self.body = nn.Sequential(*(ResidualBlock(features) for _ in range(blocks)))
        self.upsampling = SubPixelUpsampling(features, scale, partial(nn.LeakyReLU, 0.1))
        self.refinement = nn.Conv2d(features, features, 3, padding=1)
        self.tail = nn.Conv2d(features, channels, 3, padding=1)
        initialise_residual([self.body])
        initialise_residual([self.head, self.upsampling, self.refinement, self.tail], gain=1.0)

    @property
    def halo(self) -> int:
        """Radius of the receptive field in input pixels."""

        def needed(window: Window) -> Window:
            deep = self.upsampling.window(window.before_convolutions(2))
            return deep.before_convolutions(2 * self.blocks + 1) | window.before_bilinear(self.scale)

        return halo_of(needed, scale=self.scale)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """The enlarged image."""
        shallow_BFHW = F.leaky_relu(self.head(image_BCHW), 0.1)
        enlarged_BFHW = self.upsampling(self.body(shallow_BFHW))
        details_BCHW: Tensor = self.tail(F.leaky_relu(self.refinement(enlarged_BFHW), 0.1))
        return details_BCHW + F.interpolate(image_BCHW, scale_factor=self.scale, mode="bilinear")
