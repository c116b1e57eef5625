"""``models.stacks.registration`` for a graph: the same steps, real-valued, for any height and width.

Shapes: B batch, T frames, C channels, H and W height and width, N steps of the fine grid, 2 real and
imaginary part.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from models.edge.frames.spectra import axis_of, frequencies, size_of, spectrum_of, times_conjugate
from models.stacks.registration import CHANCE, FINE, LEAST_CONFIDENCE, NO_CONTRAST, PASS_BAND, SQUARES


def registered(image_BCHW: Tensor, frames_BTCHW: Tensor) -> tuple[Tensor, Tensor]:
    """How far each frame's content lies down and right of the image's (BT2, float64), and who shows it."""
    height, width = image_BCHW.shape[-2:]
    base_B1HW2 = _spectrum(image_BCHW.mean(1, keepdim=True))
    cross_BTHW2 = times_conjugate(_spectrum(frames_BTCHW.mean(2)), base_B1HW2)
    size_BTHW1 = size_of(cross_BTHW2)[..., None]
    least_BT111 = 1e-9 * size_BTHW1.amax((-3, -2), keepdim=True).clamp_min(1e-12)
    has_phase = size_BTHW1 > least_BT111
    phase_BTHW2 = torch.where(has_phase, cross_BTHW2 / torch.where(has_phase, size_BTHW1, 1.0), 0.0)
    fy_H, fx_W = frequencies(height), frequencies(width)
    weight_HW = torch.exp(-(fy_H[:, None] ** 2 + fx_W**2) / (2 * PASS_BAND**2))
    phase_BTHW2 = phase_BTHW2 * (weight_HW / weight_HW.sum())[..., None]
    row_BT, column_BT = _coarse(phase_BTHW2, height, width)
    fine_N = torch.arange(-FINE, FINE + 1, dtype=torch.float64) / FINE
    y_BTN, x_BTN = row_BT[..., None] + fine_N, column_BT[..., None] + fine_N
    peak_BTNN = _correlation(phase_BTHW2, y_BTN, x_BTN, fy_H, fx_W)
    confidence_BT, at_BT = peak_BTNN.flatten(-2).max(-1)
    steps = 2 * FINE + 1
    y_BT = y_BTN.gather(-1, (at_BT // steps)[..., None])[..., 0]
    x_BT = x_BTN.gather(-1, (at_BT % steps)[..., None])[..., 0]
    return torch.stack([y_BT, x_BT], -1), confidence_BT >= _least(height, width)


def _coarse(phase_BTHW2: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Row and column (BT, float64) of the peak among whole pixels, half of either side at most."""
    coarse_BTN = torch.fft.ifft2(torch.view_as_complex(phase_BTHW2.contiguous()))
    place_BT = torch.view_as_real(coarse_BTN)[..., 0].flatten(-2).argmax(-1).double()
    rows_1, columns_1 = axis_of(height)[1], axis_of(width)[1]
    row_BT = torch.floor(place_BT / columns_1)
    column_BT = place_BT - columns_1 * row_BT
    row_BT = row_BT - torch.where(row_BT > torch.floor(rows_1 / 2), rows_1, 0.0)
    return row_BT, column_BT - torch.where(column_BT > torch.floor(columns_1 / 2), columns_1, 0.0)


def _correlation(phase_BTHW2: Tensor, y_BTN: Tensor, x_BTN: Tensor, fy_H: Tensor, fx_W: Tensor) -> Tensor:
    """BTNN: the phase correlation at places between pixels, by a Fourier transform of these alone."""
    down_BTNH = 2 * math.pi * y_BTN[..., None] * fy_H
    right_BTWN = 2 * math.pi * fx_W[:, None] * x_BTN[..., None, :]
    cosine, sine = torch.cos(down_BTNH), torch.sin(down_BTNH)
    real, imaginary = phase_BTHW2[..., 0], phase_BTHW2[..., 1]
    real, imaginary = cosine @ real - sine @ imaginary, cosine @ imaginary + sine @ real
    return real @ torch.cos(right_BTWN) - imaginary @ torch.sin(right_BTWN)


def _least(height: int, width: int) -> Tensor:
    """Confidence of a frame that shows the same scene."""
    squares_1 = SQUARES / (axis_of(height)[1] * axis_of(width)[1])
    return (CHANCE * (squares_1 / 2).sqrt()).clamp_min(LEAST_CONFIDENCE)


def _spectrum(image: Tensor) -> Tensor:
    """HW2 without its mean, faded out towards the border."""
    height, width = image.shape[-2:]
    weight_HW = _window(height)[:, None] * _window(width)
    values = image.double()
    mean = (values * weight_HW).sum((-2, -1), keepdim=True) / weight_HW.sum()
    spectrum_HW2 = spectrum_of((values - mean) * weight_HW)
    contrast = size_of(spectrum_HW2).amax((-2, -1), keepdim=True)[..., None] / weight_HW.sum()
    return torch.where(contrast > NO_CONTRAST, spectrum_HW2, 0.0)


def _window(count: int) -> Tensor:
    """Hann's, symmetric, without its two zeros."""
    steps_N, size_1 = axis_of(count)
    return 0.5 - 0.5 * torch.cos(2 * math.pi * (steps_N + 1) / (size_1 + 1))
