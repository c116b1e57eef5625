"""NAFNet: a U-Net without nonlinear activations.

Chen et al., "Simple Baselines for Image Restoration", ECCV 2022, sections 3 and 4.

Shapes: B batch, C channels, H and W height and width, F features.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.networks.arguments import require_at_least
from models.networks.local_pooling import pool_locally

EPSILON = 1e-6


class LayerNorm(nn.Module):
    """Mean zero and variance one over the channels of each pixel, in float32, then gain and bias."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))

    def forward(self, features_BFHW: Tensor) -> Tensor:
        """The same shape."""
        features_BHWF = features_BFHW.permute(0, 2, 3, 1)
        normalised_BHWF = F.layer_norm(features_BHWF, self.weight.shape, self.weight, self.bias, EPSILON)
        return normalised_BHWF.permute(0, 3, 1, 2)


def gate(features_BFHW: Tensor) -> Tensor:
    """SimpleGate: one half of the channels times the other (equation 4)."""
    first, second = features_BFHW.chunk(2, dim=1)
    return first * second


class NAFBlock(nn.Module):
    """Depthwise convolution with channel attention, then a feed-forward part, each beside the identity.

    ``window`` is the side of the attention's pooling window in pixels of this level; ``None`` pools
    over the whole image.
    """

    def __init__(self, features: int, window: int | None) -> None:
        super().__init__()
        self.window = window
        self.norm_1 = LayerNorm(features)
        self.expansion_1 = nn.Conv2d(features, 2 * features, 1)
        self.depthwise = nn.Conv2d(2 * features, 2 * features, 3, padding=1, groups=2 * features)
        self.attention = nn.Conv2d(features, features, 1)
        self.projection_1 = nn.Conv2d(features, features, 1)
        self.beta = nn.Parameter(torch.zeros(features, 1, 1))
        self.norm_2 = LayerNorm(features)
        self.expansion_2 = nn.Conv2d(features, 2 * features, 1)
        self.projection_2 = nn.Conv2d(features, features, 1)
        self.gamma = nn.Parameter(torch.zeros(features, 1, 1))

    def forward(self, features_BFHW: Tensor) -> Tensor:
        """The same shape."""
        gated_BFHW = gate(self.depthwise(self.expansion_1(self.norm_1(features_BFHW))))
        attended_BFHW = gated_BFHW * self.attention(self._pool(gated_BFHW))
        features_BFHW = features_BFHW + self.beta * self.projection_1(attended_BFHW)
        fed_BFHW: Tensor = self.projection_2(gate(self.expansion_2(self.norm_2(features_BFHW))))
        return features_BFHW + self.gamma * fed_BFHW

    def _pool(self, features_BFHW: Tensor) -> Tensor:
        if self.window is None:
            return features_BFHW.mean((2, 3), keepdim=True)
        return pool_locally(features_BFHW, self.window)


class NAFNet(nn.Module):
    """BCHW in [0, 1] -> the restored image, not clipped.

    The defaults are the paper's GoPro network of width 32 (17,111,907 parameters; width 64 has
    67,888,835). SIDD's is ``encoders=(2, 2, 4, 8), middle=12, decoders=(2, 2, 2, 2)`` (29,159,715 and
    115,982,915). Height and width must be multiples of ``2 ** len(encoders)``.

    ``local_window`` is the side in pixels of the windows that stand for the whole image in the channel
    attention; it holds no parameters and does nothing to images that are no larger. The paper's test
    on whole GoPro images takes 384, 1.5 times its training crops. ``None`` pools globally, as in training.
    """

    minimum_size = 1
    halo = None
    """Channel attention lets every pixel matter; with local windows, all of some thousand pixels around."""

    def __init__(
        self,
        channels: int = 3,
        features: int = 32,
        encoders: Sequence[int] = (1, 1, 1, 28),
        middle: int = 1,
        decoders: Sequence[int] = (1, 1, 1, 1),
        local_window: int | None = None,
    ) -> None:
        super().__init__()
        require_at_least("NAFNet", 1, channels=channels, features=features, middle=middle)
        if not encoders or len(encoders) != len(decoders) or min(*encoders, *decoders) < 1:
            raise ValueError(
                "NAFNet: encoders and decoders must name as many levels, each with one block or more; "
                f"got {encoders!r} and {decoders!r}"
            )
        self.multiple_of = 2 ** len(encoders)
        if local_window is not None:
            require_at_least("NAFNet", self.multiple_of, local_window=local_window)
        self.channels, self.local_window = channels, local_window
        levels = range(len(encoders))
        widths = [features << level for level in levels]
        self.head = nn.Conv2d(channels, features, 3, padding=1)
        self.encoders = nn.ModuleList(self._blocks(features, i, encoders[i]) for i in levels)
        self.shrinking = nn.ModuleList(nn.Conv2d(width, 2 * width, 2, 2) for width in widths)
        self.middle = self._blocks(features, len(encoders), middle)
        self.enlarging = nn.ModuleList(
            nn.Sequential(nn.Conv2d(2 * width, 4 * width, 1, bias=False), nn.PixelShuffle(2))
            for width in reversed(widths)
        )
        self.decoders = nn.ModuleList(
            self._blocks(features, level, count)
            for level, count in zip(reversed(levels), decoders, strict=True)
        )
        self.tail = nn.Conv2d(features, channels, 3, padding=1)

    def _blocks(self, features: int, level: int, count: int) -> nn.Sequential:
        window = None if self.local_window is None else self.local_window >> level
        return nn.Sequential(*(NAFBlock(features << level, window) for _ in range(count)))

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """The image plus what the network adds to it."""
        height, width = image_BCHW.shape[-2:]
        assert height % self.multiple_of == width % self.multiple_of == 0, (height, width)
        features_BFHW = self.head(image_BCHW)
        skipped = []
        for encoder, shrink in zip(self.encoders, self.shrinking, strict=True):
            features_BFHW = encoder(features_BFHW)
            skipped.append(features_BFHW)
            features_BFHW = shrink(features_BFHW)
        features_BFHW = self.middle(features_BFHW)
        for enlarge, decoder in zip(self.enlarging, self.decoders, strict=True):
            features_BFHW = decoder(enlarge(features_BFHW) + skipped.pop())
        added_BCHW: Tensor = self.tail(features_BFHW)
        return image_BCHW + added_BCHW
