"""Gradient magnitude similarity deviation (Xue, Zhang, Mou, Bovik 2014)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.metrics import luma, valid
from pipeline.metrics.base import FULL_RANGE, MetricProtocol
from pipeline.metrics.box import box_sum, halved

_T = 170.0 / 255.0**2


@dataclass(frozen=True)
class GMSD:
    """Standard deviation of the gradient similarity; NaN under 4 x 4."""

    protocol: ClassVar[MetricProtocol] = MetricProtocol(
        name="gmsd",
        formula=(
            "standard deviation, over the pixels of the image halved by 2 x 2 means, of (2 gx gy + T) / "
            "(gx^2 + gy^2 + T); g: magnitude of the Prewitt gradient / 3; T = 170 / 255^2"
        ),
        colour=luma.FULL,
        border="scale",
        data_range=FULL_RANGE,
        unit="1",
        higher_is_better=False,
        best=0.0,
        source="Xue et al., IEEE TIP 23(2), 2014, eq. 4-6",
        minimum_size=4,
        window="3 x 3 after halving; zeros outside the image, as in the authors' code",
    )

    def __call__(self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
        """(B,) float64."""
        if min(reference_BCHW.shape[-2:]) < self.protocol.minimum_size:
            return valid.undefined(reference_BCHW)
        x, y = (
            _gradient(halved(luma.full_range_planes(valid.blanked(image, valid_B1HW))))
            for image in (restored_BCHW, reference_BCHW)
        )
        similarity_BChw = ((2 * x * y + _T) / (x.square() + y.square() + _T)).double()
        whole_B1hw = _whole(valid_B1HW)
        mean_BC = valid.channel_mean(similarity_BChw, whole_B1hw)
        deviation_BChw = similarity_BChw - mean_BC[..., None, None]
        return valid.channel_mean(deviation_BChw.square(), whole_B1hw).sqrt().mean(dim=1)


def _gradient(plane_BCHW: Tensor) -> Tensor:
    """Magnitude of the Prewitt gradient, of the same size."""
    padded = F.pad(plane_BCHW, (1, 1, 1, 1))
    tall, wide = box_sum(padded, 3, 1), box_sum(padded, 1, 3)
    across, down = tall[..., 2:] - tall[..., :-2], wide[:, :, 2:] - wide[:, :, :-2]
    return torch.hypot(across, down) / 3


def _whole(valid_B1HW: Tensor | None) -> Tensor | None:
    """Halved pixels whose 3 x 3 neighbours rest on valid pixels only; beyond the border all are valid."""
    if valid_B1HW is None:
        return None
    invalid_B1hw = F.max_pool2d((~valid_B1HW.bool()).float(), 2, ceil_mode=True)
    return F.max_pool2d(invalid_B1hw, 3, stride=1, padding=1) == 0
