"""How likely the errors are under the half-widths that the network gave beside its image.

Kendall and Gal, "What Uncertainties Do We Need in Bayesian Deep Learning for Computer Vision?", NeurIPS 2017,
section 3, with Laplace's law in place of the normal one, whose tails are too thin for errors at edges.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Laplace:
    """Mean of ``abs(d) / b + log b``, for half-widths ``b``: the least where ``b`` is the mean error there.

    A quantile of the error is a multiple of ``b`` then, 2.3 times for nine tenths. Images of little and of
    much noise count alike.
    """

    needs_half_width: ClassVar[bool] = True

    def __call__(self, restored_BCHW: Tensor, target_BCHW: Tensor, half_width_BCHW: Tensor) -> Tensor:
        """A scalar; the image learns too, where it is not frozen."""
        return ((restored_BCHW - target_BCHW).abs() / half_width_BCHW + half_width_BCHW.log()).mean()
