"""How far each frame lies from the first: phase correlation with a peak between pixels.

Kuglin and Hines, "The phase correlation image alignment method", 1975; Guizar-Sicairos et al., "Efficient
subpixel image registration algorithms", Optics Letters 2008: the peak is looked for on a fine grid around the
coarse one, by a Fourier transform of that part alone.

Shapes: B batch, T frames, C channels, H and W height and width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

FINE = 50
"""Steps to a pixel."""
PASS_BAND = 0.18
"""Standard deviation of the weight of frequencies, in cycles a pixel: above it are noise and aliases."""
LEAST_CONFIDENCE = 0.15
"""Of a frame that still counts."""
NO_CONTRAST = 1e-6
"""Of the value range: below it is rounding."""
CHANCE = 5.5
"""Standard deviations of what noise gives, above which a peak is none of it."""

SQUARES = 1.5**2 / (4 * math.pi * PASS_BAND**2)
"""Sum of the squared weights of frequencies, times pixels; the window of Hann makes neighbouring frequencies
alike, 1.5 on each axis."""


@dataclass(frozen=True)
class Registration:
    """Where frames lie."""

    shift_BT2: Tensor
    """How far each frame's content lies down and right of the first image's, in pixels; float64."""
    confidence_BT: Tensor
    """Height of the peak, 0 to 1; 1 for the same image moved, 0 for a black frame."""
    least: float
    """Confidence of a frame that shows the same scene."""

    @property
    def usable(self) -> Tensor:
        """BT: whether a frame shows the same scene."""
        return self.confidence_BT >= self.least


def register(image_BCHW: Tensor, frames_BTCHW: Tensor) -> Registration:
    """Each frame against the image, on the mean of the channels; moves of up to half a side are found."""
    height, width = image_BCHW.shape[-2:]
    base_B1HW = _spectrum(image_BCHW.mean(1, keepdim=True))
    frames_BTHW = _spectrum(frames_BTCHW.mean(2))
    cross = frames_BTHW * base_B1HW.conj()
    size = cross.abs()
    # What has no contrast has no phase.
    phase = torch.where(size > 1e-9 * size.amax((-2, -1), keepdim=True).clamp_min(1e-12), cross / size, 0)
    fy_H = torch.fft.fftfreq(height, dtype=torch.float64, device=phase.device)
    fx_W = torch.fft.fftfreq(width, dtype=torch.float64, device=phase.device)
    weight_HW = torch.exp(-(fy_H[:, None] ** 2 + fx_W**2) / (2 * PASS_BAND**2))
    phase = phase * (weight_HW / weight_HW.sum())
    coarse = torch.fft.ifft2(phase).real.flatten(-2)
    place_BT = coarse.argmax(-1)
    row_BT, column_BT = place_BT // width, place_BT % width
    row_BT = torch.where(row_BT > height // 2, row_BT - height, row_BT).double()
    column_BT = torch.where(column_BT > width // 2, column_BT - width, column_BT).double()
    fine_N = torch.arange(-FINE, FINE + 1, device=phase.device).double() / FINE
    y_BTN, x_BTN = row_BT[..., None] + fine_N, column_BT[..., None] + fine_N
    left = torch.exp(2j * math.pi * y_BTN[..., None] * fy_H)
    right = torch.exp(2j * math.pi * fx_W[:, None] * x_BTN[..., None, :])
    peak_BTNN = (left @ phase @ right).real
    best_BT = peak_BTNN.flatten(-2)
    confidence_BT, at_BT = best_BT.max(-1)
    steps = len(fine_N)
    y_BT = y_BTN.gather(-1, (at_BT // steps)[..., None])[..., 0]
    x_BT = x_BTN.gather(-1, (at_BT % steps)[..., None])[..., 0]
    return Registration(torch.stack([y_BT, x_BT], -1), confidence_BT.clamp(0, 1), _least(height * width))


def _least(pixels: int) -> float:
    """The smaller the frames, the higher the peaks of mere noise: sums of fewer random phases.

    Their real part has half of the weights' sum of squares as its variance.
    """
    squares = SQUARES / pixels
    return max(LEAST_CONFIDENCE, CHANCE * math.sqrt(squares / 2))


def _spectrum(image: Tensor) -> Tensor:
    """Without its mean, faded out towards the border, which else would look like an edge."""
    height, width = image.shape[-2:]
    window_H = torch.hann_window(height + 2, periodic=False, dtype=torch.float64, device=image.device)[1:-1]
    window_W = torch.hann_window(width + 2, periodic=False, dtype=torch.float64, device=image.device)[1:-1]
    weight_HW = window_H[:, None] * window_W
    values = image.double()
    mean = (values * weight_HW).sum((-2, -1), keepdim=True) / weight_HW.sum()
    spectrum: Tensor = torch.fft.fft2((values - mean) * weight_HW)
    # What is left of a frame of one shade is rounding, whose phases would say something.
    contrast = spectrum.abs().amax((-2, -1), keepdim=True) / weight_HW.sum()
    return torch.where(contrast > NO_CONTRAST, spectrum, 0)
