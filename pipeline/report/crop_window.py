"""Where to look: the square window in which restorers differ most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LONGEST = 112
"""Side of a crop in pixels, at most: larger ones would not be enlarged on a page."""
SHORTEST = 40


@dataclass(frozen=True)
class CropWindow:
    """Fractions of the image's height and width, so that it fits images of any scale."""

    top: float
    left: float
    height: float
    width: float

    def cut(self, image_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The window's pixels, at least one."""
        rows, columns = image_HWC.shape[:2]
        top, left = round(self.top * rows), round(self.left * columns)
        bottom = max(round((self.top + self.height) * rows), top + 1)
        right = max(round((self.left + self.width) * columns), left + 1)
        return image_HWC[top:bottom, left:right]


def most_different(disagreement_HW: NDArray[np.float64]) -> CropWindow:
    """The square with the largest sum of disagreement, away from the outermost pixels where it can be."""
    height, width = disagreement_HW.shape
    side = min(max(min(height, width) // 4, SHORTEST), LONGEST, height, width)
    # A border that all restorers get wrong says little about the picture.
    margin_y, margin_x = min((height - side) // 2, side // 4), min((width - side) // 2, side // 4)
    total_HW = np.pad(disagreement_HW, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    sums = (
        total_HW[side:, side:] - total_HW[:-side, side:] - total_HW[side:, :-side] + total_HW[:-side, :-side]
    )
    inner = sums[margin_y : height - side + 1 - margin_y, margin_x : width - side + 1 - margin_x]
    top, left = np.unravel_index(int(np.argmax(inner)), inner.shape)
    return CropWindow(
        top=float(top + margin_y) / height,
        left=float(left + margin_x) / width,
        height=side / height,
        width=side / width,
    )
