"""Blurs of one or two parameters, by the dark rings or stripes that they leave in the spectrum of an image.

A disc and a straight line have spectra with zeros; an image's is compared with that of every candidate.

Shapes: C channels, H and W height and width, F frequencies down and R across, K side of a kernel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from torch import Tensor

from models.kernel_estimation.found import Estimate, nothing_found
from models.kernel_estimation.planes import busiest_part
from models.kernel_estimation.spectra import (
    PART,
    SIDE,
    alike,
    compared,
    frequencies,
    mean_spectrum,
    resemblance,
    ripples,
    ripples_of,
)
from models.operators.blur import DefocusBlur
from models.operators.motion import laid_on_grid

T = TypeVar("T")

_ALIKE = 0.25
"""Correlation from which a blur is believed."""
_RADII = torch.arange(1.5, 12.01, 0.25).tolist()
_LENGTHS, _ANGLES = range(4, 31), range(0, 180, 6)


def defocus(image_CHW: Tensor) -> Estimate:
    """Of a lens out of focus: the disc's radius, 1.5 to 12 pixels, to a quarter of one."""
    candidates = ((radius, _disc_power(radius)) for radius in _RADII)

    def kernel(radius: float) -> Tensor:
        return DefocusBlur(radius=radius).kernel()

    return _best(image_CHW, candidates, kernel, lambda radius: {"radius": radius})


def straight_motion(image_CHW: Tensor) -> Estimate:
    """Of a steady motion: 4 to 30 pixels, and its direction, to 6 degrees, from x towards y (down)."""
    pairs = ((length, angle) for length in _LENGTHS for angle in _ANGLES)
    candidates = ((pair, _line_power(*pair)) for pair in pairs)

    def parameters(pair: tuple[int, int]) -> dict[str, float]:
        return {"length": pair[0], "angle": pair[1]}

    return _best(image_CHW, candidates, lambda pair: line(*pair), parameters)


def _best(
    image_CHW: Tensor,
    candidates: Iterable[tuple[T, Tensor]],
    kernel: Callable[[T], Tensor],
    parameters: Callable[[T], dict[str, float]],
) -> Estimate:
    grey_HW = image_CHW.float().mean(dim=0)
    if min(grey_HW.shape) < SIDE:
        size = " x ".join(map(str, grey_HW.shape))
        return nothing_found(f"{size} pixels are too few to tell a blur from; it takes {SIDE} each way")
    spectrum_FR = mean_spectrum(busiest_part(grey_HW, PART))
    if spectrum_FR is None:
        return nothing_found("it shows nothing that a blur could be told from")
    compared_FR, seen_FR = compared(), ripples(spectrum_FR)
    scored = (
        (alike(seen_FR, ripples_of(power_FR), compared_FR), which, power_FR) for which, power_FR in candidates
    )
    _, best, power_FR = max(scored, key=lambda each: each[0])
    confidence = resemblance(spectrum_FR, power_FR)
    doubt = "" if confidence >= _ALIKE else (
        f"its spectrum does not look like one of such a blur: {confidence:.2f} agree, {_ALIKE} is asked for"
    )  # fmt: skip
    return Estimate(kernel(best), max(confidence, 0.0), doubt, parameters(best))


def _disc_power(radius: float) -> Tensor:
    down_F1, across_R = frequencies()
    phase_FR = (2 * math.pi * radius * torch.hypot(down_F1, across_R)).clamp(min=1e-6)
    power_FR: Tensor = (2 * torch.special.bessel_j1(phase_FR) / phase_FR).square()
    return power_FR


def _line_power(length: int, angle: int) -> Tensor:
    down_F1, across_R = frequencies()
    turned = math.radians(angle)
    return torch.sinc(length * (across_R * math.cos(turned) + down_F1 * math.sin(turned))).square()


def line(length: int, angle: int) -> Tensor:
    """KK: the line on the pixel grid."""
    place_N = torch.linspace(-length / 2, length / 2, 64 * length, dtype=torch.float64)
    turned = math.radians(angle)
    points_N2 = torch.stack([place_N * math.cos(turned), place_N * math.sin(turned)], dim=1)
    return laid_on_grid(points_N2, 2 * (math.ceil(length / 2) + 1) + 1)
