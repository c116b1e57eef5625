"""The discriminator of Progressive GAN, the generator's mirror image.

Karras et al., "Progressive Growing of GANs for Improved Quality, Stability, and Variation", ICLR 2018,
sections 2 and 3, appendix A.1 and table 2.

Shapes: B batch, C channels, N the side of the image, F features, G size of a group.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.networks.arguments import require_at_least, require_power_of_two, require_share
from models.networks.equalised import EqualisedConv2d, EqualisedLinear, growing_widths

GROUP = 4


class ProgressiveDiscriminator(nn.Module):
    """``discriminator(image_BCNN, fade=...)`` -> one logit per image, B; high means real.

    Takes images of any power of two from 4 up to ``image_size`` a side, in [-1, 1]. ``fade`` is the
    generator's. Images are judged in groups of up to four, by how much they differ too, so that a
    logit depends on the batch. The defaults are the paper's: 23.1 million parameters at 1024 pixels.
    """

    def __init__(
        self, channels: int = 3, image_size: int = 1024, features: int = 8192, widest: int = 512
    ) -> None:
        super().__init__()
        require_at_least("ProgressiveDiscriminator", 1, channels=channels, widest=widest)
        require_power_of_two("ProgressiveDiscriminator", 8, image_size=image_size)
        require_at_least("ProgressiveDiscriminator", image_size // 2, features=features)
        self.channels, self.image_size = channels, image_size
        widths = growing_widths(image_size, features, widest)
        self.from_image = nn.ModuleList(EqualisedConv2d(channels, width, 1) for width in widths)
        self.stages = nn.ModuleList(
            nn.ModuleList((EqualisedConv2d(inner, inner), EqualisedConv2d(inner, outer)))
            for outer, inner in itertools.pairwise(widths)
        )
        self.last = EqualisedConv2d(widths[0] + 1, widths[0])
        self.hidden = EqualisedLinear(widths[0] * 16, widths[0])
        self.judgement = EqualisedLinear(widths[0], 1, gain=1.0)

    def forward(self, image_BCNN: Tensor, fade: float = 1.0) -> Tensor:
        """Logits, B; ``ValueError`` for a size that the network has not."""
        require_share("ProgressiveDiscriminator", fade=fade)
        height, side = image_BCNN.shape[-2:]
        require_power_of_two("ProgressiveDiscriminator", 4, height=height, width=side)
        if height != side or side > self.image_size:
            raise ValueError(
                f"ProgressiveDiscriminator: images must be square, at most {self.image_size} pixels a "
                f"side, got {(height, side)}"
            )
        level = side.bit_length() - 3
        features_BFHW = self._enter(image_BCNN, level)
        for place in reversed(range(level)):
            stage = self.stages[place]
            assert isinstance(stage, nn.ModuleList)
            for convolution in stage:
                features_BFHW = F.leaky_relu(convolution(features_BFHW), 0.2)
            features_BFHW = F.avg_pool2d(features_BFHW, 2)
            if place == level - 1 and fade < 1:
                old_BFHW = self._enter(F.avg_pool2d(image_BCNN, 2), level - 1)
                features_BFHW = torch.lerp(old_BFHW, features_BFHW, fade)
        return self._judge(features_BFHW)

    def _enter(self, image_BCNN: Tensor, level: int) -> Tensor:
        return F.leaky_relu(self.from_image[level](image_BCNN), 0.2)

    def _judge(self, features_BFHW: Tensor) -> Tensor:
        features_BFHW = F.leaky_relu(self.last(append_deviation(features_BFHW)), 0.2)
        hidden_BF = F.leaky_relu(self.hidden(features_BFHW.flatten(1)), 0.2)
        logit_B1: Tensor = self.judgement(hidden_BF)
        return logit_B1[:, 0]


def append_deviation(features_BFHW: Tensor, group: int = GROUP) -> Tensor:
    """Adds one channel: the mean standard deviation of the features within a group (section 3).

    The group is the largest number up to ``group`` that divides the batch.
    """
    batch, _, height, width = features_BFHW.shape
    size = max(count for count in range(1, group + 1) if batch % count == 0)
    groups_GNFHW = features_BFHW.to(torch.promote_types(features_BFHW.dtype, torch.float32)).view(
        size, -1, *features_BFHW.shape[1:]
    )
    deviation = (groups_GNFHW.var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3))
    deviation_B1HW = deviation.repeat(size).view(-1, 1, 1, 1).expand(-1, -1, height, width)
    return torch.cat((features_BFHW, deviation_B1HW.to(features_BFHW.dtype)), dim=1)
