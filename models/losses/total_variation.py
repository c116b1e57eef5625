"""Total variation of the restored image: a prior, the target is not looked at.

Rudin, Osher and Fatemi, "Nonlinear total variation based noise removal algorithms", Physica D 60, 1992;
anisotropic and per pixel as in Liu et al., ECCV 2018, section 3.3, equation 6.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class TotalVariation:
    """Absolute differences to the right and the lower neighbour, added up, per value of the image."""

    def __call__(self, restored_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
        """A scalar, 0 for flat images."""
        across = restored_BCHW.diff(dim=-1).abs().sum()
        down = restored_BCHW.diff(dim=-2).abs().sum()
        return (across + down) / restored_BCHW.numel()
