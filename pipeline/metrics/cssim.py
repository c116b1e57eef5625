"""Structural similarity of pairs that are not registered: best of small shifts, brightness corrected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from pipeline.metrics import valid
from pipeline.metrics.base import ALL_CHANNELS, FULL_RANGE, MetricInputs, MetricProtocol
from pipeline.metrics.ssim import SSIM, WINDOW, WINDOW_TEXT, mean_similarity
from pipeline.metrics.unregistered import BIAS_TEXT, REACH, SHIFTS_TEXT, Shifted, best, shifts


@dataclass(frozen=True)
class CorrectedSSIM:
    """Corrected structural similarity; NaN under 17 x 17 pixels."""

    protocol: ClassVar[MetricProtocol] = MetricProtocol(
        name="cssim",
        formula=f"max over {SHIFTS_TEXT} of ssim(restored + b, reference); b is {BIAS_TEXT}; ssim: "
        + SSIM.protocol.formula,
        colour=ALL_CHANNELS,
        border=f"{REACH}, of the restored image alone: the margin of the shifts",
        data_range=FULL_RANGE,
        unit="1",
        higher_is_better=True,
        best=1.0,
        source="after Märtens et al., Astrodynamics 3(4), 2019, sec. 3 (PROBA-V), with the SSIM of Wang et "
        "al., IEEE TIP 13(4), 2004, over windows that are wholly clear; others set hidden pixels to 0",
        minimum_size=WINDOW.size + 2 * REACH,
        window=WINDOW_TEXT,
        pair=MetricInputs.UNREGISTERED,
    )

    def __call__(self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
        """(B,) float64."""
        if min(reference_BCHW.shape[-2:]) < self.protocol.minimum_size:
            return valid.undefined(reference_BCHW)
        return best(_similarity(each) for each in shifts(restored_BCHW, reference_BCHW, valid_B1HW))


def _similarity(pair: Shifted) -> Tensor:
    corrected_BChw = (pair.restored_BChw.double() + pair.bias_BC11).to(pair.restored_BChw.dtype)
    return mean_similarity(corrected_BChw, pair.reference_BChw, pair.counted_B1hw).mean(dim=1)
