"""Spatial correlation coefficient (Zhou, Civco, Silander 1998): whether the detail is the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from pipeline.metrics import valid
from pipeline.metrics.base import ALL_CHANNELS, MetricProtocol
from pipeline.metrics.box import box_sum


@dataclass(frozen=True)
class SCC:
    """Correlation of the high-pass filtered images; NaN under 4 x 4 and where one has no detail."""

    protocol: ClassVar[MetricProtocol] = MetricProtocol(
        name="scc",
        formula=(
            "mean over channels of Pearson's correlation, over all pixels, of both images filtered by the "
            "3 x 3 Laplacian (8 in the middle, -1 around)"
        ),
        colour=ALL_CHANNELS,
        border="scale",
        data_range="none: a correlation",
        unit="1",
        higher_is_better=True,
        best=1.0,
        source=(
            "Zhou, Civco and Silander, Int. J. Remote Sensing 19(4), 1998; one correlation for the image, "
            "not the mean over 8 x 8 windows that torchmetrics and sewar give under this name"
        ),
        minimum_size=4,
        window="3 x 3; positions wholly inside the image and the valid mask",
    )

    def __call__(self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
        """(B,) float64."""
        if min(reference_BCHW.shape[-2:]) < self.protocol.minimum_size:
            return valid.undefined(reference_BCHW)
        whole_B1hw = valid.whole_windows(valid_B1HW, 3)
        x_BChw = _detail(valid.blanked(restored_BCHW, valid_B1HW), whole_B1hw)
        y_BChw = _detail(valid.blanked(reference_BCHW, valid_B1HW), whole_B1hw)
        covariance_BC = valid.channel_mean(x_BChw * y_BChw, whole_B1hw)
        x_variance_BC = valid.channel_mean(x_BChw.square(), whole_B1hw)
        y_variance_BC = valid.channel_mean(y_BChw.square(), whole_B1hw)
        return (covariance_BC / (x_variance_BC * y_variance_BC).sqrt()).mean(dim=1)


def _detail(image_BCHW: Tensor, whole_B1hw: Tensor | None) -> Tensor:
    """High-pass filtered, less its mean; in float64, for both are small differences of large numbers."""
    wide_BCHW = image_BCHW.double()
    detail_BChw = 9 * wide_BCHW[:, :, 1:-1, 1:-1] - box_sum(wide_BCHW, 3, 3)
    return detail_BChw - valid.channel_mean(detail_BChw, whole_B1hw)[..., None, None]
