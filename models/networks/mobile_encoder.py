"""MobileNetV2's features, at five sizes.

Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018, sections 3.3 and 4
and table 2, up to the last bottleneck: no classifier, no weights of anyone else.

Shapes: B batch, C channels, H and W height and width, F features.
"""

from __future__ import annotations

from torch import Tensor, nn

# Expansion, output channels, repetitions, stride of the first: table 2. One line per bottleneck.
BOTTLENECKS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
STEM = 32


class InvertedResidual(nn.Module):
    """Widen, convolve each channel on its own, narrow without an activation (figure 3b)."""

    def __init__(self, inner: int, outer: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inner * expansion
        self.adds = stride == 1 and inner == outer
        self.body = nn.Sequential(
            *(_convolution(inner, wide, 1) if expansion > 1 else []),
            *_convolution(wide, wide, 3, stride, groups=wide),
            nn.Conv2d(wide, outer, 1, bias=False),
            nn.BatchNorm2d(outer),
        )

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """``stride`` times smaller."""
        result_BCHW: Tensor = self.body(features_BCHW)
        return features_BCHW + result_BCHW if self.adds else result_BCHW


class MobileEncoder(nn.Module):
    """An image BCHW -> its features at 1/2, 1/4, 1/8, 1/16 and 1/32 of the size.

    ``width`` multiplies all channels, rounded up to even numbers; 1,811,712 parameters at 1.
    ``features`` holds the channels of the five results. Height and width must be multiples of 32.
    """

    def __init__(self, channels: int = 3, width: float = 1.0) -> None:
        super().__init__()

        def scaled(count: int) -> int:
            return max(2, round(count * width / 2) * 2)

        inner = scaled(STEM)
        stages: list[list[nn.Module]] = [_convolution(channels, inner, 3, 2)]
        self.features: list[int] = []
        for expansion, count, repetitions, stride in BOTTLENECKS:
            if stride == 2:
                self.features.append(inner)
                stages.append([])
            for i in range(repetitions):
                outer = scaled(count)
                stages[-1].append(InvertedResidual(inner, outer, 1 if i else stride, expansion))
                inner = outer
        self.features.append(inner)
        self.stages = nn.ModuleList(nn.Sequential(*stage) for stage in stages)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """He's normal weights by the number of outputs, as in the paper's code."""
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out")

    def forward(self, image_BCHW: Tensor) -> list[Tensor]:
        """The features, finest first."""
        results, features_BFHW = [], image_BCHW
        for stage in self.stages:
            features_BFHW = stage(features_BFHW)
            results.append(features_BFHW)
        return results


def _convolution(inner: int, outer: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(inner, outer, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outer), nn.ReLU6(inplace=True)]
