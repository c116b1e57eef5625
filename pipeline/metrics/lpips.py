"""Learned perceptual image patch similarity (Zhang, Isola, Efros, Shechtman and Wang, CVPR 2018).

Shapes: C channels, H and W height and width, h and w those of the features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from models.backbones.alexnet import AlexNet
from models.backbones.vgg16 import VGG16
from pipeline.metrics.base import MetricProtocol
from pipeline.metrics.features import (
    LITE0,
    FeatureMetric,
    NeedsWeights,
    feature_protocol,
    lite0_layers,
)
from pipeline.metrics.features import shares as shares_of

_LEAST = 1e-10
_FORMULA = (
    "sum over layers of the mean over positions of sum_c w_c (x_c / |x| - y_c / |y|)^2; x, y: features of a "
    "position, |.| over channels"
)

_LITE0 = feature_protocol(
    "lpips_lite0",
    f"{_FORMULA}; "
    "all w_c are 1; features after the blocks 0, 2, 4, 10 and 15 of EfficientNet-Lite0 (ImageNet-1k), of "
    "the extra perceptual. No published LPIPS compares with it",
    32,
    "Zhang et al., CVPR 2018, eq. 1, on another network and without learned weights",
)
_ALEX = feature_protocol(
    "lpips_alex",
    f"{_FORMULA}; "
    "w of the user's file; features of AlexNet behind each of its five rectifiers, the user's file. The "
    "numbers of the authors' code (version 0.1, normalize=True)",
    AlexNet.minimum_size,
    "Zhang et al., CVPR 2018; numbers of the authors' package lpips 0.1.4 (BSD)",
)
_VGG = feature_protocol(
    "lpips_vgg",
    f"{_FORMULA}; "
    "w of the user's file; features of VGG16 behind the last rectifier of each of its five stages, the "
    "user's file. The numbers of the authors' code (version 0.1, normalize=True)",
    VGG16.minimum_size,
    "Zhang et al., CVPR 2018; numbers of the authors' package lpips 0.1.4 (BSD)",
)


def unit_distance(
    restored: Sequence[Tensor],
    reference: Sequence[Tensor],
    valid_11HW: Tensor,
    heads: Sequence[Tensor | None],
) -> Tensor:
    """() float64: weighted squared differences of features of length 1."""
    total = torch.zeros((), dtype=torch.float64, device=valid_11HW.device)
    for x_1Chw, y_1Chw, head_1C11 in zip(restored, reference, heads, strict=True):
        squared_1Chw = (_unit(x_1Chw) - _unit(y_1Chw)).square()
        if head_1C11 is not None:
            squared_1Chw = squared_1Chw * head_1C11.to(squared_1Chw.device)
        total += (squared_1Chw.sum(dim=1, keepdim=True).double() * shares_of(valid_11HW, x_1Chw)).sum()
    return total


def _unit(features_1Chw: Tensor) -> Tensor:
    return features_1Chw / (features_1Chw.square().sum(dim=1, keepdim=True).sqrt() + _LEAST)


@dataclass(frozen=True, eq=False)
class LPIPSLite0(FeatureMetric):
    """The paper's distance without learned weights, on the feature network that is installed."""

    protocol: MetricProtocol = _LITE0

    def layers(self, image_13HW: Tensor) -> list[Tensor]:
        """After the last block of each size."""
        return lite0_layers(image_13HW)

    def distance(self, restored: Sequence[Tensor], reference: Sequence[Tensor], valid_11HW: Tensor) -> Tensor:
        """As ``unit_distance``."""
        return unit_distance(restored, reference, valid_11HW, [None] * len(LITE0))


@dataclass(frozen=True, eq=False)
class _LPIPS(NeedsWeights):
    instead: ClassVar[str] = "lpips_lite0"
    network: ClassVar[type[AlexNet] | type[VGG16]]

    def built(self, backbone: dict[str, Tensor], heads: dict[str, Tensor]) -> tuple[nn.Module, list[Tensor]]:
        """The network, and (1, C, 1, 1) for each layer."""
        found = [heads.get(f"lin{layer}.model.1.weight") for layer in range(len(self.network.widths))]
        for width, each in zip(self.network.widths, found, strict=True):
            if each is None or tuple(each.shape) != (1, width, 1, 1):
                raise ValueError(f"heads: not the linear weights of LPIPS for {self.network.__name__}")
        try:
            return self.network(backbone), [each.float() for each in found if each is not None]
        except ValueError as error:
            raise ValueError(f"backbone: {error}") from None

    def layers(self, image_13HW: Tensor) -> list[Tensor]:
        """Of the user's network."""
        return self.seen(image_13HW)

    def distance(self, restored: Sequence[Tensor], reference: Sequence[Tensor], valid_11HW: Tensor) -> Tensor:
        """As ``unit_distance``."""
        return unit_distance(restored, reference, valid_11HW, self.heads)


@dataclass(frozen=True, eq=False)
class LPIPSAlex(_LPIPS):
    """LPIPS 0.1 on AlexNet."""

    network: ClassVar[type[AlexNet]] = AlexNet
    files_wanted: ClassVar[tuple[str, str]] = ("AlexNet as torchvision has it", "alex.pth of lpips 0.1")
    protocol: MetricProtocol = _ALEX


@dataclass(frozen=True, eq=False)
class LPIPSVGG(_LPIPS):
    """LPIPS 0.1 on VGG16."""

    network: ClassVar[type[VGG16]] = VGG16
    files_wanted: ClassVar[tuple[str, str]] = ("VGG16 as torchvision has it", "vgg.pth of lpips 0.1")
    protocol: MetricProtocol = _VGG
