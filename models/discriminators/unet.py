"""A U-Net that judges every pixel, with spectral normalisation.

Wang et al., "Real-ESRGAN: Training Real-World Blind Super-Resolution with Pure Synthetic Data", ICCV
workshops 2021, section 3.4 and figure 6.

Shapes: B batch, C channels, H and W height and width, F features.
"""

from __future__ import annotations

import itertools

import torch.nn.functional as F
from torch import Tensor, nn

from models.discriminators.normalisation import normalise_spectrally
from models.networks.arguments import require_at_least

SLOPE = 0.2
LEVELS = 3


class UNetDiscriminator(nn.Module):
    """BCHW -> B1HW logits; high means real; 4,376,897 parameters.

    Height and width must be multiples of 8. Weights start as PyTorch's layers do, as in the authors'
    code.
    """

    multiple_of = 2**LEVELS

    def __init__(self, channels: int = 3, features: int = 64) -> None:
        super().__init__()
        require_at_least("UNetDiscriminator", 1, channels=channels, features=features)
        self.channels = channels
        pairs = list(itertools.pairwise(features << level for level in range(LEVELS + 1)))
        self.head = nn.Conv2d(channels, features, 3, padding=1)
        self.shrinking = nn.ModuleList(
            nn.Conv2d(fine, coarse, 4, 2, padding=1, bias=False) for fine, coarse in pairs
        )
        self.enlarging = nn.ModuleList(_convolution(coarse, fine) for fine, coarse in reversed(pairs))
        self.refinement = nn.ModuleList(_convolution(features, features) for _ in range(2))
        self.tail = nn.Conv2d(features, 1, 3, padding=1)
        # The first and the last layer are free.
        for layers in (self.shrinking, self.enlarging, self.refinement):
            normalise_spectrally(layers)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Logits, one per pixel; ``ValueError`` for a size that is no multiple of 8."""
        height, width = image_BCHW.shape[-2:]
        if height % self.multiple_of or width % self.multiple_of:
            raise ValueError(
                f"UNetDiscriminator: height and width must be multiples of {self.multiple_of}, "
                f"got {(height, width)}"
            )
        features_BFHW = F.leaky_relu(self.head(image_BCHW), SLOPE)
        skipped = []
        for shrink in self.shrinking:
            skipped.append(features_BFHW)
            features_BFHW = F.leaky_relu(shrink(features_BFHW), SLOPE)
        for enlarge in self.enlarging:
            enlarged_BFHW = F.interpolate(features_BFHW, scale_factor=2, mode="bilinear")
            features_BFHW = F.leaky_relu(enlarge(enlarged_BFHW), SLOPE) + skipped.pop()
        for refine in self.refinement:
            features_BFHW = F.leaky_relu(refine(features_BFHW), SLOPE)
        logit_B1HW: Tensor = self.tail(features_BFHW)
        return logit_B1HW


def _convolution(inner: int, outer: int) -> nn.Module:
    return nn.Conv2d(inner, outer, 3, padding=1, bias=False)
