"""From indices to the colours of a palette."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ImageError


def coloured(indices_HW: NDArray[np.uint8], palette_N3: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """HW3, or HW1 where every colour is grey; ``UNREADABLE`` for an index that has no colour."""
    if indices_HW.size and int(indices_HW.max()) >= len(palette_N3):
        raise ImageError("UNREADABLE", "a pixel has a colour that is not in the palette")
    grey = bool((palette_N3 == palette_N3[:, :1]).all())
    return np.ascontiguousarray((palette_N3[:, :1] if grey else palette_N3)[indices_HW])
