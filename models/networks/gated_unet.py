"""A U-Net of gated convolutions: inpainting of free-form holes.

Yu et al., "Free-Form Image Inpainting with Gated Convolution" (DeepFill v2), ICCV 2019, section 3.1 and
figure 3: the coarse network's layers, with the skips of a U-Net and without the second, attentive stage.
Of our own is that the holes may start from an interpolation (``pull_push``) instead of empty.

Shapes: B batch, C channels, H and W height and width, F features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.networks.arguments import require_at_least
from models.networks.pull_push import before_pull_push, pull_push
from models.networks.receptive_field import Window, halo_of

DILATIONS = (2, 4, 8, 16)


class GatedConvolution(nn.Module):
    """ELU of one convolution times the sigmoid of another: features, and where they count (equation 3)."""

    def __init__(self, inner: int, outer: int, kernel: int = 3, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        padding = dilation * (kernel // 2)
        self.both = nn.Conv2d(inner, 2 * outer, kernel, stride, padding, dilation)
        self.window = (kernel, stride, padding, dilation)

    def forward(self, features_BFHW: Tensor) -> Tensor:
        """``stride`` times smaller."""
        features, gates = self.both(features_BFHW).chunk(2, dim=1)
        return F.elu(features) * torch.sigmoid(gates)

    def before(self, window: Window) -> Window:
        """What is needed of the input for a window of the output."""
        kernel, stride, padding, dilation = self.window
        return window.before_convolution(kernel, stride, padding=padding, dilation=dilation)


class GatedUNet(nn.Module):
    """``network(image_BCHW, mask_B1HW)``: the image with its holes filled, not clipped.

    The image is in [-1, 1] as in the paper; what it holds in the holes is not looked at. The mask is 1
    where a pixel is known. Known pixels come back as they are; ``predict`` gives the network's own
    picture everywhere, as a loss on known pixels needs it. ``features=48`` is the paper's width.

    With ``levels`` the holes are first filled by ``pull_push`` over so many halvings, and the network
    adds what that lacks, at first nothing: a small one needs no time to learn what is smooth. Height and
    width must be multiples of 4, and of ``2 ** levels``.
    """

    conditions: ClassVar[Sequence[str]] = ("mask",)

    def __init__(self, channels: int = 3, features: int = 48, levels: int = 0) -> None:
        super().__init__()
        require_at_least("GatedUNet", 1, channels=channels)
        require_at_least("GatedUNet", 2, features=features)
        require_at_least("GatedUNet", 0, levels=levels)
        self.channels, self.levels = channels, levels
        self.multiple_of = self.minimum_size = max(4, 2**levels)
        f = features
        self.at_full = GatedConvolution(channels + 1, f, 5)
        self.at_half = nn.Sequential(GatedConvolution(f, 2 * f, stride=2), GatedConvolution(2 * f, 2 * f))
        self.at_quarter = nn.Sequential(
            GatedConvolution(2 * f, 4 * f, stride=2),
            *(GatedConvolution(4 * f, 4 * f) for _ in range(2)),
            *(GatedConvolution(4 * f, 4 * f, dilation=dilation) for dilation in DILATIONS),
            *(GatedConvolution(4 * f, 4 * f) for _ in range(2)),
        )
        self.decoder_at_half = nn.Sequential(GatedConvolution(6 * f, 2 * f), GatedConvolution(2 * f, 2 * f))
        self.decoder_at_full = nn.Sequential(GatedConvolution(3 * f, f), GatedConvolution(f, f // 2))
        self.tail = nn.Conv2d(f // 2, channels, 3, padding=1)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """He's normal weights, biases zero; gates start half open."""
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)
        if self.levels:
            nn.init.zeros_(self.tail.weight)

    @property
    def halo(self) -> int:
        """Radius of the receptive field in pixels."""

        def before(window: Window, layers: nn.Sequential) -> Window:
            for layer in reversed(layers):
                assert isinstance(layer, GatedConvolution)
                window = layer.before(window)
            return window

        def needed(window: Window) -> Window:
            # The detour over the quarter sees all that the skips see.
            window = before(window.before_convolution(3), self.decoder_at_full).before_enlarging(2)
            window = before(window, self.decoder_at_half).before_enlarging(2)
            window = self.at_full.before(before(before(window, self.at_quarter), self.at_half))
            return before_pull_push(window, self.levels)

        return halo_of(needed, multiple_of=self.multiple_of)

    def predict(self, image_BCHW: Tensor, mask_B1HW: Tensor) -> Tensor:
        """The network's own picture, known pixels too."""
        height, width = image_BCHW.shape[-2:]
        assert height % self.multiple_of == width % self.multiple_of == 0, (height, width)
        started_BCHW = pull_push(image_BCHW, mask_B1HW, self.levels)
        full_BFHW = self.at_full(torch.cat((started_BCHW, mask_B1HW), dim=1))
        half_BFHW = self.at_half(full_BFHW)
        decoded_BFHW = self.decoder_at_half(
            torch.cat((_double(self.at_quarter(half_BFHW)), half_BFHW), dim=1)
        )
        decoded_BFHW = self.decoder_at_full(torch.cat((_double(decoded_BFHW), full_BFHW), dim=1))
        predicted_BCHW: Tensor = self.tail(decoded_BFHW)
        return started_BCHW + predicted_BCHW if self.levels else predicted_BCHW

    def forward(self, image_BCHW: Tensor, mask_B1HW: Tensor) -> Tensor:
        """Known pixels as given, the others as predicted."""
        return torch.where(mask_B1HW > 0.5, image_BCHW, self.predict(image_BCHW, mask_B1HW))


def _double(features_BFHW: Tensor) -> Tensor:
    return F.interpolate(features_BFHW, scale_factor=2, mode="nearest")
