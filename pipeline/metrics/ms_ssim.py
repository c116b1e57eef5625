"""Multi-scale structural similarity (Wang, Simoncelli, Bovik 2003)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.metrics import valid
from pipeline.metrics.base import ALL_CHANNELS, FULL_RANGE, MetricProtocol
from pipeline.metrics.ssim import WINDOW, WINDOW_TEXT, mean_similarity

_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


@dataclass(frozen=True)
class MSSSIM:
    """Multi-scale structural similarity; NaN for images under 176 x 176."""

    protocol: ClassVar[MetricProtocol] = MetricProtocol(
        name="ms_ssim",
        formula=(
            "mean over channels of the product over 5 scales of max(0, mean contrast-structure)^weight, at "
            "the coarsest of max(0, mean ssim)^weight; each scale is 2 x 2 means of the finer one, an odd "
            "last row or column dropped; weights 0.0448, 0.2856, 0.3001, 0.2363, 0.1333"
        ),
        colour=ALL_CHANNELS,
        border="scale",
        data_range=FULL_RANGE,
        unit="1",
        higher_is_better=True,
        best=1.0,
        source="Wang, Simoncelli and Bovik, Asilomar 2003, eq. 7",
        minimum_size=WINDOW.size << (len(_WEIGHTS) - 1),
        window=WINDOW_TEXT,
    )

    def __call__(self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
        """(B,) float64."""
        coarsest = len(_WEIGHTS) - 1
        if min(reference_BCHW.shape[-2:]) < self.protocol.minimum_size:
            return valid.undefined(reference_BCHW)
        product_BC = torch.ones((), dtype=torch.float64, device=reference_BCHW.device)
        restored_BCHW = valid.blanked(restored_BCHW, valid_B1HW)
        reference_BCHW = valid.blanked(reference_BCHW, valid_B1HW)
        for scale, weight in enumerate(_WEIGHTS):
            factor_BC = mean_similarity(
                restored_BCHW, reference_BCHW, valid_B1HW, luminance=scale == coarsest
            )
            product_BC = product_BC * factor_BC.clamp(min=0) ** weight
            restored_BCHW, reference_BCHW = F.avg_pool2d(restored_BCHW, 2), F.avg_pool2d(reference_BCHW, 2)
            valid_B1HW = valid.whole_windows(valid_B1HW, 2, stride=2)
        return product_BC.mean(dim=1)
