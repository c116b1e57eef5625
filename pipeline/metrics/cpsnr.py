"""Peak signal-to-noise ratio of pairs that are not registered: best of small shifts, brightness corrected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from pipeline.metrics import valid
from pipeline.metrics.base import ALL_CHANNELS, FULL_RANGE, MetricInputs, MetricProtocol
from pipeline.metrics.unregistered import BIAS_TEXT, REACH, SHIFTS_TEXT, Shifted, best, shifts


@dataclass(frozen=True)
class CorrectedPSNR:
    """Corrected peak signal-to-noise ratio; NaN under 8 x 8 pixels."""

    protocol: ClassVar[MetricProtocol] = MetricProtocol(
        name="cpsnr",
        formula=f"max over {SHIFTS_TEXT} of -10 log10(mean over counted pixels and channels of (reference - "
        f"restored - b)^2); b is {BIAS_TEXT}",
        colour=ALL_CHANNELS,
        border=f"{REACH}, of the restored image alone: the margin of the shifts",
        data_range=FULL_RANGE,
        unit="dB",
        higher_is_better=True,
        best=float("inf"),
        source="Märtens et al., Astrodynamics 3(4), 2019, sec. 3 (PROBA-V): cPSNR",
        minimum_size=2 * REACH + 2,  # one pixel is nothing but its own bias
        pair=MetricInputs.UNREGISTERED,
    )

    def __call__(self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
        """(B,) float64."""
        if min(reference_BCHW.shape[-2:]) < self.protocol.minimum_size:
            return valid.undefined(reference_BCHW)
        return best(_psnr(each) for each in shifts(restored_BCHW, reference_BCHW, valid_B1HW))


def _psnr(pair: Shifted) -> Tensor:
    difference_BChw = pair.reference_BChw.double() - pair.restored_BChw.double() - pair.bias_BC11
    return valid.mean(difference_BChw.square(), pair.counted_B1hw).log10() * -10.0
