"""Spectral angle mapper (Kruse et al. 1993): colour errors that brightness does not explain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pipeline.metrics import valid
from pipeline.metrics.base import ALL_CHANNELS, PHYSICAL_ZERO, MetricInputs, MetricProtocol


@dataclass(frozen=True)
class SAM:
    """Mean angle between the spectra; NaN for a single channel, where there is no angle."""

    protocol: ClassVar[MetricProtocol] = MetricProtocol(
        name="sam",
        formula=(
            "mean over valid pixels of the angle between the vectors of channels; pixels that are zero in "
            "all channels of either image are left out"
        ),
        colour=ALL_CHANNELS,
        fewest_bands=2,
        border="scale",
        data_range=f"none: an angle; {PHYSICAL_ZERO}",
        unit="degree",
        higher_is_better=False,
        best=0.0,
        source="Kruse et al., Remote Sensing of Environment 44, 1993",
        pair=MetricInputs.PHYSICAL,
        version=2,
    )

    def __call__(self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
        """(B,) float64."""
        if reference_BCHW.shape[1] == 1:
            return valid.undefined(reference_BCHW)
        restored_length_B1HW, reference_length_B1HW = _length(restored_BCHW), _length(reference_BCHW)
        defined_B1HW = (restored_length_B1HW != 0) & (reference_length_B1HW != 0)
        if valid_B1HW is not None:
            defined_B1HW &= valid_B1HW.bool()
        # The arc cosine of a dot product loses half the digits of small angles; this form loses none
        # (Kahan, "How futile are mindless assessments of roundoff", 2006, sec. 12).
        left_BCHW = restored_BCHW / restored_length_B1HW
        right_BCHW = reference_BCHW / reference_length_B1HW
        half_B1HW = torch.atan2(_length(left_BCHW - right_BCHW), _length(left_BCHW + right_BCHW))
        return valid.mean(torch.rad2deg(2 * half_B1HW), defined_B1HW)


def _length(image_BCHW: Tensor) -> Tensor:
    return image_BCHW.square().sum(dim=1, keepdim=True).sqrt()
