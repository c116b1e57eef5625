"""FFDNet: denoising at half resolution, told the noise level.

Zhang, Zuo and Zhang, "FFDNet: Toward a Fast and Flexible Solution for CNN-based Image Denoising",
IEEE TIP 2018, section III. The form without batch normalisation, as the authors released it later.

Shapes: B batch, C channels, H and W height and width; F features and S sub-images (4 C), h and w half of H
and W.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PREDICTS = ("image", "noise")
_GAIN = 4.0
"""Predicted noise is the last layer's output times this times its level: keeps weights near one."""


class FFDNet(nn.Module):
    """Convolutions of 3 x 3 with ReLU between two pixel shuffles.

    ``network(image_BCHW, noise_level_B)`` takes an image in [0, 1] of even height and width and the
    standard deviation of its noise as a fraction of the range; it returns the clean image, not
    clipped. Colour is ``channels=3, features=96, layers=12`` (852,108 parameters), grey is
    ``channels=1, features=64, layers=15`` (485,316): section III-C of the paper.

    ``predicts="image"`` is the paper's network. ``"noise"`` subtracts what the same layers predict, in
    units of the level, from the image (residual learning, Zhang 2017, put to scale): an image without
    noise stays as it is, and a short training is not spent on learning to pass the image through.
    """

    conditions: ClassVar[Sequence[str]] = ("noise_level",)
    multiple_of = 2
    minimum_size = 2

    def __init__(
        self, channels: int = 3, features: int = 96, layers: int = 12, predicts: str = "image"
    ) -> None:
        super().__init__()
        if predicts not in PREDICTS:
            raise ValueError(f"FFDNet: predicts must be one of {', '.join(PREDICTS)}; got {predicts!r}")
        if layers < 3:
            raise ValueError(f"FFDNet: layers must be 3 or more, got {layers}")
        if predicts == "noise" and features < 4 * channels:
            raise ValueError(
                f"FFDNet: features must be {4 * channels} or more, to carry the image beside the noise; "
                f"got {features}"
            )
        self.channels, self.layers, self.predicts = channels, layers, predicts
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
        """Orthogonal weights for ReLU (Saxe 2014), zero biases.

        Where noise is predicted, the first ``4 C`` features start as copies of the input, lifted by one
        so that ReLU does not cut them, and the last layer starts at zero: the untrained network leaves
        every image alone, and its last layer sees the image from the first step.
        """
        for convolution in self._layers():
            nn.init.orthogonal_(convolution.weight, gain=2**0.5)
            nn.init.zeros_(convolution.get_parameter("bias"))
        if self.predicts == "noise":
            *inner, last = self._layers()
            for convolution in inner:
                _carry(convolution, last.out_channels)
            nn.init.ones_(inner[0].get_parameter("bias")[: last.out_channels])
            nn.init.zeros_(last.weight)

    def _layers(self) -> list[nn.Conv2d]:
        return [convolution for convolution in self.convolutions if isinstance(convolution, nn.Conv2d)]

    def forward(self, image_BCHW: Tensor, noise_level_B: Tensor) -> Tensor:
        """The clean image, BCHW; height and width must be even."""
        level_B111 = self._level(image_BCHW, noise_level_B)
        features_BFhw = self._features(image_BCHW, level_B111)
        return self._image(image_BCHW, level_B111, self._layers()[-1](features_BFhw))

    def _level(self, image_BCHW: Tensor, noise_level_B: Tensor) -> Tensor:
        batch, _, height, width = image_BCHW.shape
        assert height % 2 == width % 2 == 0, (height, width)
        return noise_level_B.to(image_BCHW).view(batch, 1, 1, 1)

    def _features(self, image_BCHW: Tensor, level_B111: Tensor) -> Tensor:
        """What the last layer sees, at half the size."""
        if self.predicts == "noise":
            image_BCHW = 2.0 * image_BCHW - 1.0
        sub_images_BShw = F.pixel_unshuffle(image_BCHW, 2)
        map_B1hw = level_B111.expand(-1, -1, *sub_images_BShw.shape[-2:])
        features_BFhw = torch.cat((sub_images_BShw, map_B1hw), dim=1)
        for convolution in self._layers()[:-1]:
            features_BFhw = F.relu(convolution(features_BFhw), inplace=True)
        return features_BFhw

    def _image(self, image_BCHW: Tensor, level_B111: Tensor, predicted_BShw: Tensor) -> Tensor:
        """The clean image out of the last layer's sub-images."""
        predicted_BCHW = F.pixel_shuffle(predicted_BShw, 2)
        if self.predicts == "image":
            return predicted_BCHW
        return image_BCHW - _GAIN * level_B111 * predicted_BCHW


@torch.no_grad()
def _carry(convolution: nn.Conv2d, carried: int) -> None:
    """Makes the first ``carried`` outputs copies of the first ``carried`` inputs."""
    weight_OIHW = convolution.weight
    weight_OIHW[:carried] = 0.0
    weight_OIHW[range(carried), range(carried), 1, 1] = 1.0
