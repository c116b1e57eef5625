"""What a pixel's uncertainty is made of, before a calibration gives it a size.

Shapes: B batch, C channels, H and W height and width of the restored image.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Protocol

import torch.nn.functional as F
from torch import Tensor

from models.contract import Condition
from models.restorer import Restorer

Restore = Callable[[Tensor, Condition], Tensor]
"""Degraded image and condition to restored image."""
_LEAST = 0.1
"""Of the image's root mean square spread: a width of zero would promise a pixel without error."""


class Uncertainty(Protocol):
    """``spread(restore, degraded_BCHW, condition, restored_BCHW)``: where a restorer is unsure, how much.

    Only its proportions count: a calibration scales it to intervals. An image's spread does not depend on the
    others of its batch.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    """Raised whenever the same image would have another spread; part of the recipe."""
    calls: ClassVar[int]
    """Of the restorer, beside the one that gives the image."""

    def subject(self, restorer: Restorer) -> Restorer:
        """What ``restore`` is to call; ``ValueError`` where this restorer has no such uncertainty."""
        ...

    def __call__(
        self, restore: Restore, degraded_BCHW: Tensor, condition: Condition, restored_BCHW: Tensor
    ) -> Tensor:
        """BCHW of the restored images' size, positive but where the restorer is never unsure."""
        ...


def smoothed(variance_BCHW: Tensor, side: int) -> Tensor:
    """BCHW: root of the mean variance of ``side`` x ``side`` pixels, never far below that of the image."""
    reach = side // 2
    padded_BCHW = F.pad(variance_BCHW, (reach, reach, reach, reach), mode="replicate")
    local_BCHW = F.avg_pool2d(padded_BCHW, side, stride=1).clamp_min(0)
    whole_B111 = variance_BCHW.mean(dim=(1, 2, 3), keepdim=True).clamp_min(0)
    return (local_BCHW + _LEAST**2 * whole_B111).sqrt()
