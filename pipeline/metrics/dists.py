"""Deep image structure and texture similarity (Ding, Ma, Wang and Simoncelli, TPAMI 44(5), 2022).

Shapes: C channels, H and W height and width, h and w those of the features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.backbones.vgg16 import VGG16
from pipeline.metrics.base import MetricProtocol
from pipeline.metrics.features import (
    LITE0_WIDTHS,
    FeatureMetric,
    NeedsWeights,
    feature_protocol,
    lite0_layers,
    shares,
)

_C = 1e-6
_FORMULA = (
    "1 - sum over the image and the layers of sum_c a_c (2 mx my + C) / (mx^2 + my^2 + C) + "
    "b_c (2 cov + C) / (vx + vy + C); m, v, cov: mean, variance and covariance of a channel over positions, "
    "C = 1e-6; all a and b sum to 1"
)

_LITE0 = feature_protocol(
    "dists_lite0",
    f"{_FORMULA}; "
    "a and b are alike, every layer counts a sixth; features after the blocks 0, 2, 4, 10 and 15 of "
    "EfficientNet-Lite0 (ImageNet-1k), of the extra perceptual. No published DISTS compares with it",
    32,
    "Ding et al., TPAMI 44(5), 2022, eq. 3-6, on another network and without learned weights",
)
_VGG = feature_protocol(
    "dists",
    f"{_FORMULA}; "
    "a and b of the user's file; features of VGG16 behind the last rectifier of each of its five stages, "
    "the user's file, whose poolings are roots of mean squares under a 3 x 3 Hann window. The numbers of "
    "the authors' code, images not resized",
    VGG16.minimum_size,
    "Ding et al., TPAMI 44(5), 2022; numbers of the authors' package DISTS-pytorch 0.1 (MIT)",
)


def similarity_distance(
    restored: Sequence[Tensor], reference: Sequence[Tensor], valid_11HW: Tensor, weights: Sequence[Tensor]
) -> Tensor:
    """() float64; ``weights`` are (2, C) for each layer: of means, of structure."""
    similar = torch.zeros((), dtype=torch.float64, device=valid_11HW.device)
    for x_1Chw, y_1Chw, weight_2C in zip(restored, reference, weights, strict=True):
        share_11hw = shares(valid_11HW, x_1Chw)
        x_Chw, y_Chw = x_1Chw.double()[0], y_1Chw.double()[0]
        mx_C, my_C = ((each * share_11hw[0]).sum(dim=(1, 2)) for each in (x_Chw, y_Chw))
        x_Chw, y_Chw = x_Chw - mx_C[:, None, None], y_Chw - my_C[:, None, None]
        vx_C, vy_C, cov_C = (
            (each * share_11hw[0]).sum(dim=(1, 2)) for each in (x_Chw.square(), y_Chw.square(), x_Chw * y_Chw)
        )
        means_C = (2 * mx_C * my_C + _C) / (mx_C.square() + my_C.square() + _C)
        structure_C = (2 * cov_C + _C) / (vx_C + vy_C + _C)
        similar += (weight_2C.to(means_C) * torch.stack([means_C, structure_C])).sum()
    return 1 - similar


@dataclass(frozen=True, eq=False)
class DISTSLite0(FeatureMetric):
    """The paper's similarity with equal weights, on the feature network that is installed."""

    protocol: MetricProtocol = _LITE0

    def layers(self, image_13HW: Tensor) -> list[Tensor]:
        """The image, and what is after the last block of each size."""
        return [image_13HW, *lite0_layers(image_13HW)]

    def distance(self, restored: Sequence[Tensor], reference: Sequence[Tensor], valid_11HW: Tensor) -> Tensor:
        """As ``similarity_distance``."""
        widths = (3, *LITE0_WIDTHS)
        weights = [torch.full((2, width), 0.5 / width / len(widths), dtype=torch.float64) for width in widths]
        return similarity_distance(restored, reference, valid_11HW, weights)


@dataclass(frozen=True, eq=False)
class DISTS(NeedsWeights):
    """DISTS on VGG16, whose poolings are smooth."""

    instead: ClassVar[str] = "dists_lite0"
    files_wanted: ClassVar[tuple[str, str]] = (
        "VGG16 as torchvision has it",
        "weights.pt of DISTS-pytorch 0.1",
    )
    protocol: MetricProtocol = _VGG

    def built(self, backbone: dict[str, Tensor], heads: dict[str, Tensor]) -> tuple[nn.Module, list[Tensor]]:
        """The network, and (2, C) for the image and each layer."""
        widths = (3, *VGG16.widths)
        both = [heads.get(name) for name in ("alpha", "beta")]
        if any(each is None or each.numel() != sum(widths) for each in both):
            raise ValueError("heads: not the weights of DISTS, alpha and beta of 1475 numbers each")
        weights_2K = torch.stack([each.detach().flatten().double() for each in both if each is not None])
        try:
            network = VGG16(backbone, smooth_pool)
        except ValueError as error:
            raise ValueError(f"backbone: {error}") from None
        return network, list(torch.split(weights_2K / weights_2K.sum(), list(widths), dim=1))

    def layers(self, image_13HW: Tensor) -> list[Tensor]:
        """The image, and what the user's network makes of it."""
        return [image_13HW, *self.seen(image_13HW)]

    def distance(self, restored: Sequence[Tensor], reference: Sequence[Tensor], valid_11HW: Tensor) -> Tensor:
        """As ``similarity_distance``."""
        return similarity_distance(restored, reference, valid_11HW, self.heads)


def smooth_pool(features_BCHW: Tensor) -> Tensor:
    """Root of the mean square under a Hann window, every other position (the paper, section 3.1)."""
    hann = torch.from_numpy(np.hanning(5)[1:-1]).to(features_BCHW)
    window = (hann[:, None] * hann / hann.sum() ** 2).expand(features_BCHW.shape[1], 1, 3, 3)
    mean = F.conv2d(features_BCHW.square(), window, stride=2, padding=1, groups=features_BCHW.shape[1])
    return (mean + 1e-12).sqrt()
