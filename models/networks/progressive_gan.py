"""The generator of Progressive GAN, which grows from 4 x 4 pixels.

Karras et al., "Progressive Growing of GANs for Improved Quality, Stability, and Variation", ICLR 2018,
section 2, appendix A.1 and table 2.

Shapes: B batch, Z numbers of the latent, C channels, N the side of the image, F features.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.networks.arguments import require_at_least, require_power_of_two, require_share
from models.networks.equalised import (
    RELU_GAIN,
    EqualisedConv2d,
    EqualisedLinear,
    growing_widths,
    pixel_norm,
)


class ProgressiveGenerator(nn.Module):
    """``generator(latent_BZ, image_size=..., fade=...)`` -> BCNN, about [-1, 1], not clipped.

    ``image_size`` is a power of two up to the one it was built for (that one, if not given). While a
    size is faded in, ``fade`` rises from 0 (the picture of half the size, enlarged) to 1. Codes are
    from N(0, 1) and brought to the sphere. The defaults are the paper's: 23.1 million parameters at
    1024 pixels.
    """

    def __init__(
        self,
        channels: int = 3,
        image_size: int = 1024,
        latent: int = 512,
        features: int = 8192,
        widest: int = 512,
    ) -> None:
        super().__init__()
        require_at_least("ProgressiveGenerator", 1, channels=channels, latent=latent, widest=widest)
        require_power_of_two("ProgressiveGenerator", 8, image_size=image_size)
        require_at_least("ProgressiveGenerator", image_size // 2, features=features)
        self.channels, self.image_size, self.latent = channels, image_size, latent
        widths = growing_widths(image_size, features, widest)
        # A quarter of the gain: each of the 4 x 4 places draws on the whole latent (as in the paper's code).
        self.projection = EqualisedLinear(latent, widths[0] * 16, RELU_GAIN / 4, bias=False)
        self.projection_bias = nn.Parameter(torch.zeros(widths[0], 1, 1))
        self.first = EqualisedConv2d(widths[0], widths[0])
        self.stages = nn.ModuleList(
            nn.ModuleList((EqualisedConv2d(inner, outer), EqualisedConv2d(outer, outer)))
            for inner, outer in itertools.pairwise(widths)
        )
        self.to_image = nn.ModuleList(EqualisedConv2d(width, channels, 1, gain=1.0) for width in widths)

    def forward(self, latent_BZ: Tensor, image_size: int | None = None, fade: float = 1.0) -> Tensor:
        """The image of each latent; ``ValueError`` for a size that the network has not."""
        require_share("ProgressiveGenerator", fade=fade)
        size = self.image_size if image_size is None else image_size
        require_power_of_two("ProgressiveGenerator", 4, image_size=size)
        if size > self.image_size:
            raise ValueError(f"ProgressiveGenerator: image_size is at most {self.image_size}, got {size}")
        level = size.bit_length() - 3
        features_BFHW = before_BFHW = self._smallest(latent_BZ)
        for stage in list(self.stages)[:level]:
            assert isinstance(stage, nn.ModuleList)
            before_BFHW = _double(features_BFHW)
            features_BFHW = before_BFHW
            for convolution in stage:
                features_BFHW = _activate(convolution(features_BFHW))
        image_BCNN: Tensor = self.to_image[level](features_BFHW)
        if level == 0 or fade >= 1:
            return image_BCNN
        return torch.lerp(self.to_image[level - 1](before_BFHW), image_BCNN, fade)

    def _smallest(self, latent_BZ: Tensor) -> Tensor:
        features_BFHW = self.projection(pixel_norm(latent_BZ)).view(len(latent_BZ), -1, 4, 4)
        return _activate(self.first(_activate(features_BFHW + self.projection_bias)))


def _activate(features_BFHW: Tensor) -> Tensor:
    return pixel_norm(F.leaky_relu(features_BFHW, 0.2))


def _double(features_BFHW: Tensor) -> Tensor:
    return F.interpolate(features_BFHW, scale_factor=2, mode="nearest")
