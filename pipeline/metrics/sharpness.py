"""Sharpness without a reference: the energy of the Laplacian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from pipeline.metrics import valid
from pipeline.metrics.base import ALL_CHANNELS, FULL_RANGE, MetricProtocol, Pair


@dataclass(frozen=True)
class Sharpness:
    """Standard deviation of the Laplacian; NaN under 3 x 3. Noise raises it just as detail does."""

    protocol: ClassVar[MetricProtocol] = MetricProtocol(
        name="sharpness",
        formula=(
            "sqrt(mean over channels of the variance, over pixels, of the restored image filtered by the "
            "4-neighbour Laplacian); noise raises it as detail does: read it beside a reference metric"
        ),
        colour=ALL_CHANNELS,
        border="scale",
        data_range=FULL_RANGE,
        unit="fraction of the data range",
        higher_is_better=True,
        best=float("inf"),
        source="Pech-Pacheco et al., ICPR 2000 (LAPV), square root",
        minimum_size=3,
        window="3 x 3; positions wholly inside the image and the valid mask",
        pair=Pair.ALONE,
    )

    def __call__(self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
        """(B,) float64; the reference is not looked at."""
        if min(restored_BCHW.shape[-2:]) < self.protocol.minimum_size:
            return valid.undefined(restored_BCHW)
        x = valid.blanked(restored_BCHW, valid_B1HW)
        whole_B1hw = valid.whole_windows(valid_B1HW, 3)
        neighbours = x[:, :, :-2, 1:-1] + x[:, :, 2:, 1:-1] + x[:, :, 1:-1, :-2] + x[:, :, 1:-1, 2:]
        laplacian_BChw = neighbours - 4 * x[:, :, 1:-1, 1:-1]
        mean_BC = valid.channel_mean(laplacian_BChw, whole_B1hw)
        deviation_BChw = laplacian_BChw - mean_BC[..., None, None].to(x.dtype)
        return valid.mean(deviation_BChw.square(), whole_B1hw).sqrt()
