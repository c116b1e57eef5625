"""Faults of magnetic resonance imaging that arise in k-space, line by line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from models.operators.draws import each_image
from models.parameters import Checked, choice, number, whole

ENCODINGS = ("rows", "columns")
"""The image axis that is phase encoded: "rows" puts the ghosts above and below."""


@dataclass(frozen=True)
class Motion(Checked):
    """A patient who moves between phase-encoding lines (Zaitsev et al. 2015, Motion artifacts in MRI).

    Lines are acquired one after the other from one end of k-space to the other. After every movement the
    rest of them sees the object displaced: multiplied by ``exp(-2 pi i k d)``. The lines of the centre
    define where the object lies, so that the image as a whole is not shifted. The result is a magnitude.
    """

    name: ClassVar[str] = "mr_motion"

    shift: float = number(2.0, 0, 100)
    """Standard deviation of each displacement along each axis in pixels, in [0, 100]."""
    movements: int = whole(5, 1, 1000)
    """How often the patient moves during the acquisition, in [1, 1000]."""
    encoding: str = choice(*ENCODINGS)
    """One of ``ENCODINGS``."""

    def __call__(self, image_BCHW: Tensor, rng: Generator) -> Tensor:
        """The image with ghosts, same size; all channels of an image see the same movements."""
        return each_image(image_BCHW, lambda image_CHW: self._moved(image_CHW, rng))

    def _moved(self, image_CHW: Tensor, rng: Generator) -> Tensor:
        height, width = image_CHW.shape[1:]
        along_rows = self.encoding == "rows"
        shift_L2 = self._displacements(height if along_rows else width, rng).to(image_CHW.device)
        vertical, horizontal = shift_L2.unbind(1)
        # In double precision: the phases of far lines are large multiples of the displacement.
        rows_H1 = torch.fft.fftfreq(height, dtype=torch.float64, device=image_CHW.device)[:, None]
        columns_1W = torch.fft.fftfreq(width, dtype=torch.float64, device=image_CHW.device)[None]
        if along_rows:
            turns_HW = rows_H1 * vertical[:, None] + columns_1W * horizontal[:, None]
        else:
            turns_HW = rows_H1 * vertical[None] + columns_1W * horizontal[None]
        spectrum_CHW = torch.fft.fft2(image_CHW.double()) * torch.exp(-2j * math.pi * turns_HW)
        moved_CHW: Tensor = torch.fft.ifft2(spectrum_CHW).abs().to(image_CHW)
        return moved_CHW

    def _displacements(self, lines: int, rng: Generator) -> Tensor:
        """Where the object is when each line is acquired: (L, 2), down and right, in FFT order."""
        times = torch.rand(self.movements, generator=rng, device=rng.device).sort().values * lines
        places_M2 = torch.randn(self.movements + 1, 2, generator=rng, device=rng.device).double() * self.shift
        # From the most negative frequency on, as a linear acquisition goes; 0 stands at lines // 2.
        acquired_at = (torch.arange(lines, device=rng.device) + lines // 2) % lines
        place = torch.searchsorted(times, acquired_at.float())
        at_centre = torch.searchsorted(times, torch.tensor([lines // 2], device=rng.device).float())
        return (places_M2[place] - places_M2[at_centre]).cpu()
