"""Scan-line gaps, as in Landsat 7 since its scan line corrector failed in 2003."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from models.operators.draws import uniform
from models.operators.mask import Masking
from models.parameters import number


@dataclass(frozen=True)
class ScanLineGaps(Masking):
    """Tilted, periodic, wedge-shaped gaps ("SLC-off").

    Without the corrector the scans of Landsat 7 lose nothing at nadir and 14 lines at the swath's
    edges, every 32 lines (two scans of 16): 22 % of a scene. The phase, and the side to which the
    gaps widen, are drawn.
    """

    name: ClassVar[str] = "scan_line_gaps"

    share: float = number(0.22, 0, 0.45)
    """Mean share of the pixels that is lost, in [0, 0.45]."""
    period: float = number(32.0, 2, 10_000)
    """Distance from gap to gap in lines, in [2, 10000]."""
    tilt: float = number(8.0, -45, 45)
    """Angle of the gaps against the rows in degrees, in [-45, 45]."""
    wedge: float = number(0.5, 0, 1)
    """How much wider than in the middle a gap is at the image's wide side, in [0, 1]; 1 starts at nadir."""

    def mask(self, height: int, width: int, rng: Generator) -> Tensor:
        """1HW float32 on ``rng``'s device: 1 where a pixel stays known."""
        phase = uniform(0, self.period, rng)
        side = 1.0 if uniform(0, 1, rng) < 0.5 else -1.0
        y_H1 = torch.arange(height, dtype=torch.float64, device=rng.device)[:, None]
        x_1W = torch.arange(width, dtype=torch.float64, device=rng.device)[None, :]
        across_1W = (2 * x_1W + 1) / width - 1
        gap_1W = self.share * self.period * (1 + self.wedge * side * across_1W)
        # Measured along the image's columns, the period is that of the scan whatever the tilt.
        line_HW = y_H1 + x_1W * math.tan(math.radians(self.tilt)) + phase
        return (line_HW % self.period >= gap_1W).float()[None]
