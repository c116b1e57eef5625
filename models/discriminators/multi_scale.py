"""Patch discriminators over a pyramid of the image.

Wang et al., "High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs" (pix2pixHD),
CVPR 2018, section 3.2.

Shapes: B batch, C channels, H and W height and width, h and w those of a grid of patches.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from models.discriminators.patch import PatchDiscriminator
from models.networks.arguments import require_at_least


class MultiScaleDiscriminator(nn.Module):
    """BCHW in [-1, 1] -> a list of B1hw logits, one per scale, the full size first.

    The same network with other weights judges the image, its half and its quarter.
    """

    def __init__(
        self,
        channels: int = 6,
        features: int = 64,
        layers: int = 3,
        scales: int = 3,
        normalisation: str = "instance",
    ) -> None:
        super().__init__()
        require_at_least("MultiScaleDiscriminator", 1, scales=scales)
        self.channels = channels
        self.discriminators = nn.ModuleList(
            PatchDiscriminator(channels, features, layers, normalisation) for _ in range(scales)
        )

    def features(self, image_BCHW: Tensor) -> list[list[Tensor]]:
        """For each scale what each layer gives, the logits last."""
        results = []
        for discriminator in self.discriminators:
            assert isinstance(discriminator, PatchDiscriminator)
            results.append(discriminator.features(image_BCHW))
            image_BCHW = F.avg_pool2d(image_BCHW, 3, 2, padding=1, count_include_pad=False)
        return results

    def forward(self, image_BCHW: Tensor) -> list[Tensor]:
        """Logits of each scale; ``ValueError`` for an image that is too small for the coarsest."""
        first = self.discriminators[0]
        assert isinstance(first, PatchDiscriminator)
        least = first.minimum_size << (len(self.discriminators) - 1)
        if min(image_BCHW.shape[-2:]) < least:
            raise ValueError(
                f"MultiScaleDiscriminator: images must be {least} pixels or more a side for "
                f"{len(self.discriminators)} scales, got {tuple(image_BCHW.shape[-2:])}"
            )
        return [layers[-1] for layers in self.features(image_BCHW)]
