"""Distance of the spectra.

Cho et al., "Rethinking Coarse-to-Fine Approach in Single Image Deblurring" (MIMO-UNet), ICCV 2021,
section 3.4, equation 6, at full size.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Frequency:
    """Mean absolute error of the real and imaginary parts of the two-dimensional Fourier transforms.

    The transform is not normalised, as in the paper, whose weight beside L1 is 0.1: white noise counts
    ``sqrt(H W)`` times as much as in L1.
    """

    def __call__(self, restored_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
        """A scalar; the transform runs in float32 or better, half precision overflows it."""
        difference = restored_BCHW - target_BCHW
        # The transform is linear: that of the difference is the difference of the two.
        spectrum = torch.fft.fft2(difference.to(torch.promote_types(difference.dtype, torch.float32)))
        return torch.view_as_real(spectrum).abs().mean()
