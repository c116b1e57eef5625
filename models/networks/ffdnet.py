"""FFDNet: denoising at half resolution, told the noise level.

Zhang, Zuo and Zhang, "FFDNet: Toward a Fast and Flexible Solution for CNN-based Image Denoising",
IEEE TIP 2018, section III. The form without batch normalisation, as the authors released it later.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FFDNet(nn.Module):
    """Convolutions of 3 x 3 with ReLU between two pixel shuffles.

    ``network(image_BCHW, noise_level_B)`` takes an image in [0, 1] of even height and width and the
    standard deviation of its noise as a fraction of the range; it returns the clean image, not
    clipped. Colour is ``channels=3, features=96, layers=12`` (852,108 parameters), grey is
    ``channels=1, features=64, layers=15`` (485,316): section III-C of the paper.
    """

    conditions: ClassVar[Sequence[str]] = ("noise_level",)

    def __init__(self, channels: int = 3, features: int = 96, layers: int = 12) -> None:
        super().__init__()
        if layers < 3:
            raise ValueError(f"FFDNet: layers must be 3 or more, got {layers}")
        self.channels, self.layers = channels, layers
        widths = [4 * channels + 1, *[features] * (layers - 1), 4 * channels]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(inner, outer, 3, padding=1) for inner, outer in itertools.pairwise(widths)
        )
        self.reset_parameters()

    @property
    def halo(self) -> int:
        """Radius of the receptive field in pixels: two for each convolution and one for the shuffle."""
        return 2 * self.layers + 1

    def reset_parameters(self) -> None:
        """Orthogonal weights (Saxe 2014), beside which the input is carried through unchanged.

        The paper predicts the clean image, not the noise. Starting as the identity gives the head
        start that predicting the noise would give, with the same architecture: the first ``4 C``
        features hold the shuffled input, lifted by one so that ReLU does not cut negative values.
        """
        carried = 4 * self.channels
        for convolution in self.convolutions:
            assert isinstance(convolution, nn.Conv2d)
            assert convolution.bias is not None
            nn.init.orthogonal_(convolution.weight, gain=2**0.5)
            nn.init.zeros_(convolution.bias)
            _carry(convolution, carried)
        nn.init.constant_(self._bias(0)[:carried], 1.0)
        nn.init.constant_(self._bias(-1), -1.0)

    def _bias(self, layer: int) -> Tensor:
        bias = self.convolutions[layer].bias
        assert isinstance(bias, Tensor)
        return bias

    def forward(self, image_BCHW: Tensor, noise_level_B: Tensor) -> Tensor:
        """The clean image, BCHW; height and width must be even."""
        batch, _, height, width = image_BCHW.shape
        assert height % 2 == width % 2 == 0, (height, width)
        level_B1HW = noise_level_B.to(image_BCHW).view(batch, 1, 1, 1).expand(-1, -1, height // 2, width // 2)
        features_BCHW = torch.cat((F.pixel_unshuffle(image_BCHW, 2), level_B1HW), dim=1)
        *inner, last = self.convolutions
        for convolution in inner:
            features_BCHW = F.relu(convolution(features_BCHW), inplace=True)
        return F.pixel_shuffle(last(features_BCHW), 2)


@torch.no_grad()
def _carry(convolution: nn.Conv2d, carried: int) -> None:
    """Makes the first ``carried`` outputs copies of the first ``carried`` inputs."""
    weight_OIHW = convolution.weight
    weight_OIHW[:carried] = 0.0
    weight_OIHW[range(carried), range(carried), 1, 1] = 1.0
