"""The blind noise estimate of a scene, from a sample of it: the same for every strip."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

from models.noise_level import estimate_noise_level
from pipeline.imaging.radiometry import in_units, to_tensor
from pipeline.jobs.job import Radiometry
from pipeline.scenes.geometry import Range
from pipeline.scenes.reader import Scene

_WHOLE = 1 << 22
"""Pixels up to which a scene is its own sample, so that its estimate is that of any other image."""
_WINDOW = 512
_A_SIDE = 8


def estimated(scene: Scene, radiometry: Radiometry | None, device: torch.device) -> tuple[Tensor, int]:
    """Noise level (1,), as a fraction of the range, and how many windows it is the median over.

    Raises as reading and ``in_units`` do.
    """
    levels, windows = [], sample(scene.size)
    for rows, columns in windows:
        image = in_units(scene.window(rows, columns), radiometry)
        # Filled pixels are flat, and an estimate over mostly flat ones would be none.
        if image.valid_HW is None or len(windows) == 1 or image.valid_HW.mean() > 0.5:
            levels.append(estimate_noise_level(to_tensor(image, device)))
    if not levels:
        return torch.zeros(1, device=device), 0
    return torch.cat(levels).median(dim=0, keepdim=True).values, len(levels)


def sample(size: Range) -> list[tuple[Range, Range]]:
    """Rows and columns of the windows: the whole scene, or an even grid of them on blocks of 512."""
    if size[0] * size[1] <= _WHOLE:
        return [((0, size[0]), (0, size[1]))]
    return list(product(_spread(size[0]), _spread(size[1])))


def _spread(length: int) -> list[Range]:
    last = max((length - _WINDOW) // _WINDOW, 0)
    firsts = {round(index * last / (_A_SIDE - 1)) * _WINDOW for index in range(_A_SIDE)}
    return [(first, min(first + _WINDOW, length)) for first in sorted(firsts)]
