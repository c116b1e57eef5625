"""FFDNet that says of each pixel how far it may be off: a head for half-widths beside the image.

The image is FFDNet's (``models.networks.ffdnet``). The head sees what the last layer sees and gives; its
half-widths are conditional quantiles of the absolute error, which a calibration scales: Angelopoulos et al.,
"Image-to-Image Regression with Distribution-Free Uncertainty Quantification and Applications in Imaging",
ICML 2022, section 3.

Shapes: B batch, C channels, H and W height and width; F features and S sub-images (4 C), h and w half of H
and W.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.networks.arguments import require_at_least
from models.networks.ffdnet import FFDNet

_SHARE = 0.25
"""Of the noise's deviation: the half-widths that a training begins with,"""
_LEAST = 1e-3
"""and a quarter of an 8-bit step beside."""
_DILATIONS = (1, 2, 4, 1)
"""Of the head: at strong noise, where an image errs is seen from afar alone."""
_SPAN = 6.0
"""Half-widths stay within a factor of e to the power of this about those."""


class FFDNetQuantiles(FFDNet):
    """``network(image_BCHW, noise_level_B)`` is FFDNet's image, bit for bit; ``half_width`` the widths.

    While training a call gives both, for losses that judge half-widths. Only the head learns: a training
    begins with the weights of an FFDNet (``network.start`` of its recipe), and the image stays what it was.
    """

    new_parts: ClassVar[Sequence[str]] = ("head.",)
    """Parameters that the weights to begin with may lack; all others are frozen."""

    def __init__(
        self,
        channels: int = 1,
        features: int = 64,
        layers: int = 10,
        predicts: str = "noise",
        head_features: int = 32,
    ) -> None:
        super().__init__(channels, features, layers, predicts)
        require_at_least("FFDNetQuantiles", 1, head_features=head_features)
        self.convolutions.requires_grad_(False)
        body: list[nn.Module] = []
        inner = features + 4 * channels + 1
        for dilation in _DILATIONS:
            body += [
                nn.Conv2d(inner, head_features, 3, padding=dilation, dilation=dilation),
                nn.ReLU(inplace=True),
            ]
            inner = head_features
        self.head = nn.Sequential(*body, nn.Conv2d(inner, 4 * channels, 3, padding=1))

    @property
    def halo(self) -> int:
        """As of FFDNet, and the head's convolutions more for the half-widths."""
        return super().halo + 2 * (sum(_DILATIONS) + 1)

    def forward(self, image_BCHW: Tensor, noise_level_B: Tensor) -> Any:
        """The clean image, BCHW; while training a pair of it and the half-widths. Even height and width."""
        if self.training:
            return self._both(image_BCHW, noise_level_B)
        return super().forward(image_BCHW, noise_level_B)

    def half_width(self, image_BCHW: Tensor, noise_level_B: Tensor) -> Tensor:
        """Positive, as fractions of the range: BCHW."""
        return self._both(image_BCHW, noise_level_B)[1]

    def _both(self, image_BCHW: Tensor, noise_level_B: Tensor) -> tuple[Tensor, Tensor]:
        level_B111 = self._level(image_BCHW, noise_level_B)
        features_BFhw = self._features(image_BCHW, level_B111)
        predicted_BShw = self._layers()[-1](features_BFhw)
        map_B1hw = level_B111.expand(-1, 1, *features_BFhw.shape[-2:])
        seen_BNhw = torch.cat((features_BFhw, predicted_BShw, map_B1hw), dim=1)
        exponent_BCHW = F.pixel_shuffle(self.head(seen_BNhw), 2)
        half_width_BCHW = (_SHARE * level_B111 + _LEAST) * (_SPAN * (exponent_BCHW / _SPAN).tanh()).exp()
        return self._image(image_BCHW, level_B111, predicted_BShw), half_width_BCHW
